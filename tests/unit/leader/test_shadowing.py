"""When the shadow looks, what is kept of it, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scheduler.cycle.hooks import HookChain
from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.snapshot import Snapshot
from scheduler.domain.errors import UnknownPlugin
from scheduler.domain.group import ScalingGroupOpts, shadowed
from scheduler.domain.moves import Compare
from scheduler.leader import shadowing
from scheduler.leader.shadowing import SAMPLES, Shadowing
from scheduler.plugins.hooks import AbstractHook, HookResult
from scheduler.plugins.interfaces import (
    AbstractScheduler,
    Candidate,
    SchedulingContext,
    ValidatorContext,
)
from tests.unit.cycle.made import agent, policy, snapshot, waiting

DISPERSED = ScalingGroupOpts(shadow={"agent_selector": "dispersed", "agent_selector_opts": {}})


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return int(self.now * 1_000)


class Slow(FifoScheduler):
    """Takes its time."""

    name: ClassVar[str] = "slow"
    clock: ClassVar[Hand]
    takes: ClassVar[float] = 0.01

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self.clock.now += self.takes
        super().prioritize(context, heads)


class Odd(FifoScheduler):
    name: ClassVar[str] = "odd"

    def pick_session(self) -> Candidate | None:
        raise ZeroDivisionError


class Picky(AbstractHook):
    name: ClassVar[str] = "picky"

    def check(self, context: ValidatorContext) -> HookResult:  # noqa: ARG002 - it refuses all
        return HookResult.rejected("no")


class Bench:
    """A shadow beside FIFO and concentrated, on two agents."""

    def __init__(self, sessions: int = 3, stored: dict[str, Any] | None = None) -> None:
        self.clock, self.stored = Hand(), stored
        self.snapshot: Snapshot = snapshot(
            [agent("a1", 900_000), agent("a2", 800_000)], [waiting() for _ in range(sessions)]
        )
        self.snapshot.now_ms = 5_000
        self.policy = policy()
        self.shadow = Shadowing("g", self.snapshot, self.clock, lambda: self.stored)

    def cycle(self, limit: int = 1) -> bool:
        """One cycle as the dispatcher has it; whether the shadow looked."""
        other = self.shadow.propose(limit=limit)
        real = propose(self.snapshot, self.policy, limit=limit)
        if other is not None:
            self.shadow.compare(real, other, self.policy)
        return other is not None

    def record(self) -> dict[str, Any]:
        """What would be written now."""
        self.clock.now += 10
        (move,) = self.shadow.due()
        assert isinstance(move, Compare)
        found: dict[str, Any] = json.loads(move.text)
        return found


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow scheduler and a broken one, by name."""

    def load(name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]) -> AbstractScheduler:  # noqa: ARG001 - as the real one
        known: Mapping[str, type[FifoScheduler]] = {"fifo": FifoScheduler, "slow": Slow, "odd": Odd}
        if name not in known:
            raise UnknownPlugin(kind="scheduler", name=name, known="fifo")
        return known[name]({})

    monkeypatch.setattr(shadowing, "load_scheduler", load)


def test_without_a_shadow_nothing_is_decided_and_nothing_written() -> None:
    bench = Bench()
    bench.shadow.change(ScalingGroupOpts(), bench.policy)

    assert (False, ()) == (bench.cycle(), bench.shadow.due())


def test_differences_are_counted_and_sampled() -> None:
    """K17."""
    bench = Bench()
    bench.shadow.change(DISPERSED, bench.policy)

    assert all(bench.cycle() for _ in range(2))
    bench.snapshot.agents.drop("a2")
    assert bench.cycle()

    record = bench.record()
    assert (5_000, 5_000, "") == (record["since"], record["until"], record["broken"])
    assert ("concentrated", "dispersed") == tuple(
        record["policies"][side]["agent_selector"] for side in ("real", "shadow")
    )
    counts = record["counts"]
    assert (3, 1, 1, 2) == tuple(counts[k] for k in ("cycles", "cycles_alike", "same", "elsewhere"))
    assert [(["a2"], ["a1"])] * 2 == [(s["real"], s["shadow"]) for s in record["samples"]]


def test_the_last_samples_are_kept() -> None:
    bench = Bench(sessions=30)
    bench.shadow.change(DISPERSED, bench.policy)

    while bench.cycle() and len(bench.snapshot.waiting):
        pass

    assert (30, SAMPLES) == (
        (found := bench.record())["counts"]["elsewhere"],
        len(found["samples"]),
    )


@pytest.mark.usefixtures("plugins")
def test_it_looks_at_as_many_sessions_as_it_can_in_a_short_time() -> None:
    """And is compared with as many of the real plan: the same policy never differs."""
    bench = Bench(sessions=2_000)
    Slow.clock, Slow.takes = bench.clock, 0.001
    bench.shadow.change(ScalingGroupOpts(shadow={"scheduler": "slow"}), bench.policy)

    def look() -> int:
        before = dict(bench.shadow._record["counts"])  # type: ignore[index]
        bench.clock.now += 60
        assert bench.cycle(limit=50)
        after = bench.shadow._record["counts"]  # type: ignore[index]
        assert after["cycles"] == after["cycles_alike"]
        same: int = after["same"] - before.get("same", 0)
        return same

    assert [1, 2, 4, 8, 16, 32, 50, 50] == [look() for _ in range(8)]
    Slow.takes = 0.1
    assert [50, 25, 12] == [look() for _ in range(3)]
    Slow.takes = 0.04
    assert [6, 6] == [look() for _ in range(2)]


def test_cycles_that_place_nothing_tell_nothing() -> None:
    bench = Bench(sessions=0)
    bench.shadow.change(DISPERSED, bench.policy)
    bench.cycle()

    assert {} == bench.record()["counts"]


@pytest.mark.usefixtures("plugins")
def test_the_shadow_looks_for_a_twentieth_of_the_time() -> None:
    bench = Bench(sessions=500)
    Slow.clock, Slow.takes = bench.clock, 0.01
    bench.shadow.change(ScalingGroupOpts(shadow={"scheduler": "slow"}), bench.policy)

    looked = 0
    for _ in range(300):
        looked += bench.cycle()
        bench.clock.now += 0.002

    spent = looked * 0.01
    assert looked >= 3
    assert spent <= 0.05 * (bench.clock.now - 1_000) + 0.01


@pytest.mark.usefixtures("plugins")
def test_a_shadow_that_holds_up_the_leader_is_stopped() -> None:
    bench = Bench()
    Slow.clock, Slow.takes = bench.clock, 0.7
    bench.shadow.change(ScalingGroupOpts(shadow={"scheduler": "slow"}), bench.policy)

    for _ in range(5):
        bench.cycle()
        bench.clock.now += 60

    assert "it took longer than 0.5 s 3 times in a row" == bench.record()["broken"]
    assert None is bench.snapshot.waiting.twin


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("odd", "scheduler 'odd' is broken: ZeroDivisionError"),
        ("gone", "no scheduler named 'gone'"),
    ],
)
def test_a_broken_shadow_is_told_and_the_policy_in_force_goes_on(name: str, says: str) -> None:
    bench = Bench()
    bench.shadow.change(ScalingGroupOpts(shadow={"scheduler": name}), bench.policy)

    bench.cycle(limit=9)

    assert ([], None) == (bench.snapshot.waiting.heads(), bench.snapshot.waiting.twin)
    assert says in bench.record()["broken"]


def test_counts_go_on_in_the_next_term_and_begin_anew_for_another_pair() -> None:
    first = Bench()
    first.shadow.change(DISPERSED, first.policy)
    first.cycle()
    stored = first.record()

    following, another = Bench(stored=stored), Bench(stored=stored)
    following.shadow.change(DISPERSED, following.policy)
    following.cycle()
    another.shadow.change(replace(DISPERSED, agent_selector="legacy"), another.policy)

    assert 2 == following.record()["counts"]["cycles"]
    assert {} == another.record()["counts"]


def test_a_shadow_that_was_taken_away_is_forgotten() -> None:
    known, unknown = Bench(stored={"policies": {}}), Bench()
    known.shadow.change(ScalingGroupOpts(), known.policy)
    unknown.shadow.change(DISPERSED, unknown.policy)
    assert 1 == len(unknown.shadow.due())
    unknown.clock.now += 10
    unknown.shadow.change(ScalingGroupOpts(), unknown.policy)

    assert [(Compare("g", ""),)] * 2 == [known.shadow.due(), unknown.shadow.due()]
    assert None is unknown.snapshot.waiting.twin


def test_it_is_written_at_most_each_two_seconds() -> None:
    bench = Bench()
    bench.shadow.change(DISPERSED, bench.policy)
    assert 1 == len(bench.shadow.due())

    bench.cycle()
    assert () == bench.shadow.due()
    bench.clock.now += 2
    assert (1, 0) == (len(bench.shadow.due()), len(bench.shadow.due()))


def test_what_only_a_hook_refused_is_not_counted_against_the_shadow() -> None:
    bench = Bench()
    bench.policy = replace(bench.policy, hooks=HookChain([Picky()]))
    bench.shadow.change(DISPERSED, bench.policy)

    assert bench.cycle()
    bench.snapshot.waiting.wake_all()
    again = bench.shadow.propose(limit=9)

    assert isinstance(again, Plan)
    assert ([], {}) == (again.placements, bench.record()["counts"])


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        ({}, None),
        ({"scheduler": "drf"}, ("drf", {}, "roundrobin", {"x": 1})),
        ({"agent_selector": "roundrobin"}, ("fifo", {"y": 2}, "roundrobin", {})),
        (
            {"scheduler": "drf", "scheduler_opts": {"z": 3}},
            ("drf", {"z": 3}, "roundrobin", {"x": 1}),
        ),
    ],
)
def test_what_a_shadow_does_not_name_is_the_groups_own(shadow: Any, expected: Any) -> None:
    options = ScalingGroupOpts(
        scheduler_opts={"y": 2},
        agent_selector="roundrobin",
        agent_selector_opts={"x": 1},
        shadow=shadow,
    )

    found = shadowed(options)

    assert expected == (
        found
        and (found.scheduler, found.scheduler_opts, found.agent_selector, found.agent_selector_opts)
    )


def test_the_policy_decides_beside_the_rules_in_force() -> None:
    made: Policy = policy()

    assert made.hooks.names == made.hooks.recalled().names == made.hooks.recalled().recalled().names
