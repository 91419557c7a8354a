"""Deaths of a real agent and of its pieces: nothing may run without the right to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

from agents import facts
from scheduler.protocol.report import KernelReport, Leaving, Registration
from scheduler.store.embedded import EmbeddedRedis
from tests.integration.agents.stage import AGENT, AgentProcess, Leader, wait_for

pytestmark = pytest.mark.integration

WAIT = {"callable": "work:wait", "args": [], "kwargs": {}}
SLEEP = {"command": ["sleep", "1000"]}
STUBBORN = {"callable": "work:stubborn", "args": [], "kwargs": {}}


def started(leader: Leader, *payloads: Mapping[str, object], **fields: object) -> list[str]:
    orders = [leader.start(payload, **fields) for payload in payloads]
    for order in orders:
        leader.up(order)
    return orders


def named(agent: AgentProcess, name: str) -> list[int]:
    """Pids of our processes by what they call themselves."""
    found = []
    for process in agent.left():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if Path(f"/proc/{process.pid}/comm").read_text().strip() == name:
                found.append(process.pid)
    return found


def stubborn(leader: Leader, agent: AgentProcess) -> str:
    """One whose family of seven is whole: before, its child may be at nothing yet, and without a name."""
    [order] = started(leader, STUBBORN)
    wait_for(lambda: len(named(agent, "warm child")) >= 7, "the family is not whole")
    return order


def test_nothing_is_claimed_before_the_first_ok(leader: Leader, agent: AgentProcess) -> None:
    agent.start()
    leader.boot = leader.registration().boot
    order = leader.start({"callable": "work:nothing", "args": [], "kwargs": {}})
    wait_for(lambda: leader.client.exists(leader.keys.rq_queue(AGENT)), "it was popped")

    assert [] == leader.said_of(order)
    leader.admit(leader.boot)
    assert 0 == leader.end(order).exit_code


def test_a_killed_agent_takes_everything_with_it(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    started(leader, WAIT, SLEEP, STUBBORN, on_lost="keep")

    agent.signal(signal.SIGKILL)

    wait_for(lambda: not agent.left(), "something lived on", within=30.0)


@pytest.mark.parametrize("piece", ["shim", "warm child", "zygote"])
def test_a_killed_piece_takes_what_hangs_on_it(
    leader: Leader, agent: AgentProcess, piece: str
) -> None:
    agent.admitted()
    orders = [*started(leader, SLEEP), stubborn(leader, agent)]
    for pid in named(agent, piece):
        facts.send_signal([facts.Process(pid, 0, 0, dead=False)], signal.SIGKILL)

    ended = [leader.end(order) for order in orders if piece != "warm child" or order == orders[1]]

    expected = "agent_left" if piece == "zygote" else "killed"
    assert {expected} == {said.reason for said in ended}
    if piece == "zygote":
        assert 1 == agent.wait()
        assert [] == agent.left()


def test_the_next_boot_sweeps_what_the_last_one_left(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    started(leader, STUBBORN, SLEEP)
    before = leader.boot
    pieces = [*named(agent, "zygote"), *named(agent, "shim")]
    everything = [facts.Process(pid, 0, 0, dead=False) for pid in [agent.pid, *pieces]]
    facts.send_signal(everything, signal.SIGKILL)
    agent.wait()
    assert facts.carrying(before)

    agent.start()
    registered = leader.registration(unlike=before)

    assert before == registered.swept
    assert [] == facts.carrying(before)


def test_a_second_agent_of_the_same_id_is_refused(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis, tmp_path: Path
) -> None:
    agent.admitted()
    second = AgentProcess(server.url, leader, tmp_path)
    second.log = tmp_path / "second.log"
    second.start()

    assert 4 == second.wait()
    assert 1 == len(second.log.read_text().splitlines())
    assert "already runs" in second.log.read_text()


def test_a_stopped_agent_loses_its_kernels_with_its_lease(
    leader: Leader, agent: AgentProcess
) -> None:
    agent.admitted(LEASE="1s")
    orders = started(leader, WAIT, SLEEP, STUBBORN)
    kept = started(leader, SLEEP, on_lost="keep")
    before = len(agent.left())
    agent.signal(signal.SIGSTOP)

    wait_for(lambda: len(agent.left()) <= 3, f"{before} processes outlived the lease", within=30.0)
    agent.signal(signal.SIGCONT)

    ended = [leader.end(order) for order in orders]
    assert {("killed", "The agent's lease ran out.")} == {
        (said.reason, said.error) for said in ended
    }
    assert "up" == str(leader.said_of(kept[0])[-1].kind)
    assert 0 == leader.run({"callable": "work:nothing", "args": [], "kwargs": {}}).exit_code


def test_a_deadline_holds_while_the_agent_is_stopped(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    [order] = started(leader, SLEEP, on_lost="keep", timeout_ms=2_000)
    agent.signal(signal.SIGSTOP)

    wait_for(lambda: not named(agent, "sleep"), "the deadline was missed", within=30.0)
    agent.signal(signal.SIGCONT)

    assert "timed_out" == leader.end(order).reason


def test_an_order_delivered_twice_runs_once(
    leader: Leader, agent: AgentProcess, tmp_path: Path
) -> None:
    agent.admitted()
    marker = tmp_path / "marker"
    order, text = leader.order({"callable": "work:once", "args": [str(marker)], "kwargs": {}})
    for _ in range(3):
        leader.push(order.id, text)
    leader.end(order.id)
    leader.push(order.id, text)
    leader.run({"callable": "work:nothing", "args": [], "kwargs": {}})

    assert "ran\n" == marker.read_text()


def test_forged_orders_run_nothing(leader: Leader, agent: AgentProcess, tmp_path: Path) -> None:
    agent.admitted()
    marker = tmp_path / "marker"
    payload = {"callable": "work:once", "args": [str(marker)], "kwargs": {}}
    order, text = leader.order(payload)
    other, _ = leader.order(payload)
    third, other_text = leader.order(payload, boot="0" * 32)
    forged = {
        order.id: "0" * 64 + text[64:],
        other.id: text,  # signed, but for another id
        third.id: other_text,  # signed, but for another boot
    }
    for identifier, said in forged.items():
        leader.push(identifier, said)
    leader.client.rpush(
        leader.keys.rq_queue(AGENT), "no-order", "stop-nothing", "stop-" + order.id, "\xff\n"
    )

    assert {"bad_order"} == {leader.end(identifier).reason for identifier in forged}
    assert not marker.exists()


def test_a_superseded_agent_kills_and_exits(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    [order] = started(leader, STUBBORN)
    before = leader.boot
    leader.admit("f" * 32)

    assert 6 == agent.wait()
    assert [] == facts.carrying(before)
    assert "ended" not in [str(said.kind) for said in leader.said_of(order)]


def test_a_refused_agent_exits_with_the_reason(leader: Leader, agent: AgentProcess) -> None:
    agent.start()
    boot = leader.registration().boot
    leader.client.hset(leader.keys.record(AGENT), "refused", f"{boot} it is in group other")

    assert 4 == agent.wait()
    assert "it is in group other" in agent.log.read_text()


def test_reports_wait_while_redis_is_away(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis
) -> None:
    agent.admitted()
    orders = [leader.start({"command": ["sh", "-c", "sleep 0.5; echo late"]}) for _ in range(3)]
    for order in orders:
        leader.up(order)
    server.stop()
    wait_for(lambda: len(agent.left()) <= 3, "the kernels did not end")

    server.start()

    assert [0, 0, 0] == [leader.end(order).exit_code for order in orders]
    assert ["late\n"] * 3 == [leader.log(order) for order in orders]
    assert 0 == leader.run({"callable": "work:nothing", "args": [], "kwargs": {}}).exit_code


def test_an_agent_waits_for_redis(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis
) -> None:
    server.stop()
    agent.start()
    wait_for(lambda: "agent.unreachable" in agent.log.read_text(), "it said nothing")

    server.start()

    assert leader.registration().boot


def test_sigterm_stops_kernels_and_says_goodbye(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    orders = started(leader, WAIT, SLEEP, STUBBORN)
    began = facts.boottime_ns()
    agent.signal(signal.SIGTERM)

    assert 0 == agent.wait()
    assert facts.boottime_ns() - began < 6.5e9  # 2.5 s by design, on a quiet machine
    assert [] == agent.left()
    assert ["agent_left"] * 3 == [leader.end(order).reason for order in orders]
    assert isinstance(leader.reports()[-1], Leaving)
    state = next((agent.directory / "state").iterdir())
    assert not (state / "scratch").exists()


def test_a_second_signal_does_not_wait_for_the_grace(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted(KILL_GRACE="20s")
    started(leader, STUBBORN)
    agent.signal(signal.SIGTERM)
    wait_for(lambda: "agent.stopping" in agent.log.read_text(), "it did not hear")
    agent.signal(signal.SIGINT)

    assert 0 == agent.wait(within=19.0)
    assert [] == agent.left()


def test_a_signal_is_heard_while_a_line_is_logged(leader: Leader, agent: AgentProcess) -> None:
    """A handler that logs would wait for the line that it interrupted, for ever."""
    os.mkfifo(agent.log)
    reader = os.open(agent.log, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(agent.log, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    agent.start()
    leader.registration()
    waits = Path(f"/proc/{agent.pid}/task/{agent.pid}/wchan")
    wait_for(lambda: "pipe_write" in waits.read_text(), "its first line is not being logged")
    agent.signal(signal.SIGTERM)
    os.set_blocking(reader, True)
    os.close(writer)
    said = b"".join(iter(lambda: os.read(reader, 65536), b""))
    os.close(reader)

    assert 0 == agent.wait()
    assert b"agent.stopping" in said


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_sigterm_ends_an_agent_without_redis(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis, how: signal.Signals
) -> None:
    """Whether Redis is gone or only silent."""
    agent.admitted()
    started(leader, STUBBORN)
    assert server.pid
    os.kill(server.pid, how)
    try:
        began = facts.boottime_ns()
        agent.signal(signal.SIGTERM)

        assert 0 == agent.wait()
        # Grace and two seconds by design; one that waits for Redis' answers takes seven and more.
        assert facts.boottime_ns() - began < 6.5e9
        assert [] == agent.left()
    finally:
        if how is signal.SIGSTOP:
            os.kill(server.pid, signal.SIGCONT)
        else:
            server.restart()


def test_kernels_end_with_the_lease_while_redis_is_silent(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis
) -> None:
    """And the agent goes on asking."""
    agent.admitted(LEASE="1s")
    [order] = started(leader, STUBBORN)
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: len(agent.left()) <= 1, "the kernel outlived the lease", within=30.0)
        assert agent.process
        assert agent.process.poll() is None
    finally:
        os.kill(server.pid, signal.SIGCONT)

    assert "killed" == leader.end(order).reason


def test_beats_name_what_is_held(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    [order] = started(leader, SLEEP)

    def held() -> bool:
        beat = json.loads(leader.client.get(leader.keys.beat(AGENT)) or "{}")
        return bool([order] == beat.get("running") and 1 == beat.get("claims"))

    wait_for(held, "no beat named the kernel")


def test_at_most_three_connections(leader: Leader, agent: AgentProcess) -> None:
    before = len(leader.client.client_list())
    agent.admitted()
    for _ in range(3):
        leader.run({"callable": "work:say", "args": ["x"], "kwargs": {}})

    assert len(leader.client.client_list()) - before <= 3


def test_it_is_an_rq_worker_like_any_other(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis
) -> None:
    from rq import Worker  # noqa: PLC0415

    agent.admitted()
    leader.run({"callable": "work:nothing", "args": [], "kwargs": {}})
    with redis.Redis.from_url(server.url) as client:
        found = [w for w in Worker.all(client) if w.name == f"{AGENT}.{leader.boot[:8]}"]

    assert [agent.pid] == [worker.pid for worker in found]
    assert [leader.keys.rq_queue(AGENT)] == [
        queue.key for worker in found for queue in worker.queues
    ]


def test_it_registers_what_it_offers(leader: Leader, agent: AgentProcess) -> None:
    agent.start(
        "--slots",
        "cpu=2,cuda=2:V100",
        "--label",
        "rack=r1",
        "--address",
        "10.1.1.1",
        "--max-kernels",
        "9",
    )

    said = leader.registration()

    assert {"cpu": 2000, "cuda.0": 1000, "cuda.1": 1000} == said.slots
    assert ({"cuda": "V100"}, {"rack": "r1"}, "10.1.1.1", 9) == (
        said.models,
        said.labels,
        said.address,
        said.max_kernels,
    )
    assert (30_000, 500, "") == (said.lease_ms, said.grace_ms, said.swept)
    assert not [report for report in leader.reports() if isinstance(report, KernelReport)]
    assert isinstance(said, Registration)
