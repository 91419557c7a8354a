"""Several kernels before one child: what it has begun is its own, the rest can be taken back."""

from __future__ import annotations

import os
import socket
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from agents import channel
from agents.facts import boottime_ns
from agents.handover import Handover
from agents.hosts import Hosts
from agents.kernels import Kernel
from agents.logs import OutputLog
from agents.packets import READ, SERIAL, Packets
from agents.pool import Pool, PoolLimits
from agents.reactor import Reactor
from scheduler.observability.logs import get_logger
from scheduler.protocol.order import StartOrder
from scheduler.protocol.report import EndReason


def kernel(
    number: int,
    *,
    mem: int = 1,
    on_lost: str = "rerun",
    payload: bytes = b"{}",
    **fields: Any,
) -> Kernel:
    order = StartOrder(
        agent="a1",
        boot="b",
        group="default",
        session=f"s{number}",
        kernel=0,
        placement="p",
        attempt=1,
        name="",
        keypair="k1",
        slots={"mem": mem},
        timeout_ms=1_000,
        payload_sha256="",
        on_lost=on_lost,
        **{"hosts": [], **fields},
    )
    return Kernel(order, payload, {}, OutputLog(order.id, 0, lambda *_: None), serial=number + 1)


class FakeHost(SimpleNamespace):
    """A host as far as it is asked here."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class Stage:
    """A child played by hand."""

    def __init__(self) -> None:
        self.pool = Pool(PoolLimits(idle=1, idle_ns=1))
        self.begun: list[Kernel] = []
        self.heard: deque[Any] = deque()
        self.sent: list[bytes] = []
        self.host: Any = FakeHost(
            number=1, packets=Packets(), child=self, kernel=None, behind=deque(), dying=False
        )
        self.host.keypair, self.host.took_us, self.host.served = "k1", 1, 0
        self.host.untouched = False
        hosts: Any = SimpleNamespace(
            hear_child=self.hear,
            stop=self._stop,
            tell=lambda *said: self.sent.append(said[-1]),
            all=lambda: [self.host],
        )
        nursery: Any = SimpleNamespace(scratch_of=lambda _: "/scratch")
        self.handover = Handover(
            self.pool,
            nursery,
            hosts,
            self._begin,
            lambda _: 0,
        )

    def _begin(self, host: Any, kernel: Kernel) -> None:
        host.kernel, kernel.host = kernel, host
        self.begun.append(kernel)

    def _stop(self, host: Any, *_: object) -> None:
        host.dying = True

    def take(self) -> bytes:
        """The child takes a packet."""
        packet: bytes = self.host.packets.theirs.recv(READ, socket.MSG_DONTWAIT)
        return packet[SERIAL.size :]

    def done(self) -> None:
        """The child says that it is done; it is heard later."""
        self.heard.append("done")

    def hear(self, host: Any) -> None:
        while self.heard:
            self.heard.popleft()
            self.handover.next_of(host)

    def dies(self, cause: str = "") -> list[Kernel]:
        """The child is dead; what ended with it."""
        self.host.dying = True
        self.handover.take_back(self.host)
        return self.handover.forget(self.host, cause)

    def waiting(self) -> list[Kernel]:
        """What waits for a child."""
        self.host.kernel, self.host.dying = None, False
        self.pool.park(self.host, 1)
        return [each for _, group in self.pool.groups() for each in group]


@pytest.fixture
def stage() -> Any:
    found = Stage()
    yield found
    found.host.packets.close()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_child_keeps_what_it_has_begun_and_no_more(stage: Stage, taken: int) -> None:
    """Also where nothing was heard yet of what it has done."""
    kernels = [kernel(number) for number in range(5)]
    stage.handover.hand_over(stage.host, kernels)
    for number in range(taken):
        stage.take()
        if number < taken - 1:
            stage.done()

    stage.handover.settle(stage.host)

    at = kernels[max(0, taken - 1)]
    assert at is stage.host.kernel
    assert not stage.handover.under_way
    if not taken:
        # It was begun for the agent, so it lies there again, alone.
        assert channel.unpack(stage.take()).head["env"]["SESSION_ID"] == at.order.session
    with pytest.raises(BlockingIOError):
        stage.take()
    assert kernels[max(1, taken) :] == stage.waiting()


@pytest.mark.parametrize(("childs", "at", "behind"), [({2}, 2, []), ({0, 3}, 0, [3]), ({1}, 1, [])])
def test_a_child_may_take_one_between_two_that_are_taken_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, childs: set[int], at: int, behind: list[int]
) -> None:
    """Both take from the front; whose a packet is says its number, not its place."""
    kernels = [kernel(number) for number in range(4)]
    stage.handover.hand_over(stage.host, kernels)
    taken = {each.serial for number, each in enumerate(kernels) if number not in childs}
    monkeypatch.setattr(stage.host.packets, "take_back", lambda: taken)

    stage.handover.settle(stage.host)

    assert kernels[at] is stage.host.kernel
    assert [kernels[number] for number in behind] == list(stage.host.behind)
    waiting = [kernels[number] for number in range(4) if number not in childs]
    assert waiting == stage.waiting()
    assert not any(each.began_ns or each.timer for each in waiting)


def test_a_child_that_did_all_has_nothing(stage: Stage) -> None:
    kernels = [kernel(number) for number in range(3)]
    stage.handover.hand_over(stage.host, kernels)
    for _ in kernels:
        stage.take()
        stage.done()

    stage.handover.settle(stage.host)

    assert (None, kernels, []) == (stage.host.kernel, stage.begun, stage.waiting())


def test_what_a_stuck_child_did_not_begin_goes_to_children_of_its_own(stage: Stage) -> None:
    kernels = [kernel(number) for number in range(3)]
    stage.handover.hand_over(stage.host, kernels)
    stage.take()

    stage.handover.relieve()

    assert kernels[0] is stage.host.kernel
    assert [False, True, True] == [each.alone for each in kernels]
    assert [kernels[1]] == stage.waiting()[:1]


def test_of_a_host_that_is_gone_nothing_is_forgotten_that_was_begun(stage: Stage) -> None:
    """Although what it said of the first made no sense."""
    kernels = [kernel(number) for number in range(4)]
    stage.handover.hand_over(stage.host, kernels)
    stage.take()
    stage.take()

    stage.handover.take_back(stage.host)

    assert kernels[:2] == stage.handover.forget(stage.host, "")
    assert kernels[2:] == stage.waiting()


def test_what_finds_no_room_before_a_child_waits_on(stage: Stage) -> None:
    kernels = [kernel(number, payload=b"x" * 15_000) for number in range(32)]
    stage.handover.hand_over(stage.host, kernels)

    handed = 1 + len(stage.host.behind)

    assert 1 < handed < len(kernels)
    stage.handover.take_back(stage.host)
    assert kernels[1] is stage.waiting()[0]


def test_a_large_payload_follows_on_the_stream(stage: Stage) -> None:
    payload = b"x" * 100_000

    stage.handover.hand_over(stage.host, [kernel(1, payload=payload)])

    assert (channel.FOLLOWS, [payload]) == (stage.take(), stage.sent)


@pytest.mark.parametrize("long", [0, 1, 2])
def test_what_follows_on_the_stream_lies_before_a_child_alone(stage: Stage, long: int) -> None:
    """It cannot be taken back: the child would take its rest for another message."""
    kernels = [kernel(number, hosts=["h" * 60] * 1_000 * (number == long)) for number in range(4)]

    stage.handover.hand_over(stage.host, kernels)

    assert kernels[1 : max(long, 1)] == list(stage.host.behind)
    assert (long == 0) == bool(stage.sent)
    stage.handover.settle(stage.host)
    assert (channel.FOLLOWS == stage.take()) == (long == 0)
    assert kernels[1:] == stage.waiting() if not long else kernels[long].alone


def test_output_is_read_only_when_it_is_known_whose_it_is() -> None:
    """What the child is at was not heard yet, as it has come further by itself."""
    reactor, texts = Reactor(), []
    reader, writer = os.pipe2(os.O_NONBLOCK)
    before, at = kernel(1), kernel(2)
    at.log = OutputLog("at", 100, lambda *said: texts.append(said[1:]))
    silent, _other = socket.socketpair()
    host: Any = FakeHost(number=1, kernel=before, child=None, outputs={reader: "stdout"})
    host.shim, host.read = silent, lambda fd: os.read(fd, 100)
    nursery: Any = SimpleNamespace(fileno=_other.fileno, spawn=lambda **_: host)

    def settle(_: object) -> None:
        host.kernel = at

    keeper: Any = SimpleNamespace(settle=settle)
    Hosts(nursery, reactor, keeper, get_logger()).spawn(warm=True)
    os.write(writer, b"text")
    reactor.round()
    at.log.flush()
    for each in (silent, _other):
        each.close()
    for fd in (reader, writer):
        os.close(fd)

    assert [("stdout", "text")] == texts


def test_only_kernels_under_the_same_rules_go_together() -> None:
    plain = kernel(1)

    assert plain.goes_with(kernel(2))
    assert not plain.goes_with(kernel(2, mem=2))
    assert not plain.goes_with(kernel(2, on_lost="keep"))
    assert not plain.goes_with(kernel(2, payload=b"x" * 20_000))
    assert not kernel(2, payload=b"x" * 20_000).goes_with(plain)


@pytest.mark.parametrize("watched", ["", "ready"])
def test_a_kernel_that_its_child_does_not_come_to_is_taken_from_it(
    stage: Stage, watched: str
) -> None:
    """W5: the child is frozen, or its shim was before it had forked it; what is watched gets its own host again."""
    late = kernel(0, done_pattern=watched)
    stage.handover.hand_over(stage.host, [late])
    late.began_ns = boottime_ns()

    stage.handover.rescue()
    assert stage.host.kernel == late, "it had no time to come to it"

    late.began_ns -= 6_000_000_000
    stage.handover.rescue()

    assert (stage.host.kernel, stage.host.dying, late.host) == (None, True, None)
    assert (late if watched else None) is stage.pool.first_apart()
    assert stage.pool.forget(late)


def test_a_kernel_that_its_child_has_come_to_runs_on(stage: Stage) -> None:
    """W5."""
    long = kernel(0)
    stage.handover.hand_over(stage.host, [long])
    stage.take()
    long.began_ns = boottime_ns() - 6_000_000_000

    stage.handover.rescue()

    assert (stage.host.kernel, stage.host.dying) == (long, False)


@pytest.mark.parametrize("cause", ["", "hung_up", "shim_killed"])
@pytest.mark.parametrize("behind", [0, 2])
def test_what_a_dead_child_had_not_come_to_runs_in_another(
    stage: Stage, cause: str, behind: int
) -> None:
    """W5: in the order in which it was handed over."""
    kernels = [kernel(number) for number in range(1 + behind)]
    stage.handover.hand_over(stage.host, kernels)

    assert [] == stage.dies(cause)

    assert kernels == stage.waiting()


def test_what_a_dead_child_had_taken_ends_with_it(stage: Stage) -> None:
    kernels = [kernel(number) for number in range(3)]
    stage.handover.hand_over(stage.host, kernels)
    stage.take()

    assert kernels[:1] == stage.dies()

    assert kernels[1:] == stage.waiting()


@pytest.mark.parametrize("cause", ["lease", "stopped", "timed_out", "out_of_memory"])
def test_what_a_child_was_ended_for_ends_with_it_although_it_was_not_taken(
    stage: Stage, cause: str
) -> None:
    """What was stopped does not begin elsewhere."""
    only = kernel(0)
    stage.handover.hand_over(stage.host, [only])
    only.stopping = EndReason.STOPPED if cause == "stopped" else None

    assert [only] == stage.dies(cause)


def test_a_kernel_outlives_one_child_only(stage: Stage) -> None:
    """Where no child can live it would go round for ever."""
    only = kernel(0)
    stage.handover.hand_over(stage.host, [only])
    assert [] == stage.dies()
    assert [only] == stage.waiting()
    stage.host.untouched = False
    stage.handover.hand_over(stage.host, [only])

    assert [only] == stage.dies()
