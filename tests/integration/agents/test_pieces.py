"""Pieces of an agent are killed or frozen, working or idle; the agent goes on, or ends as a whole."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agents import facts
from scheduler.store.embedded import EmbeddedRedis
from tests.integration.agents.stage import AgentProcess, Leader, wait_for
from tests.integration.agents.test_deaths import SLEEP, STUBBORN, named, started, stubborn

pytestmark = pytest.mark.integration

NOTHING = {"callable": "work:nothing", "args": [], "kwargs": {}}


def send(pids: list[int], number: int) -> None:
    facts.send_signal([facts.Process(pid, 0, 0, dead=False) for pid in pids], number)


def well(leader: Leader, agent: AgentProcess) -> None:
    """It lives, and runs a callable and a command."""
    ends = [leader.run(NOTHING), leader.run({"command": ["true"]})]

    assert [0, 0] == [end.exit_code for end in ends]
    assert agent.process
    assert agent.process.poll() is None


@pytest.mark.parametrize("piece", ["shim", "warm child"])
def test_after_a_piece_was_killed_at_work_the_agent_takes_new_work(
    leader: Leader, agent: AgentProcess, piece: str
) -> None:
    """W5."""
    agent.admitted()
    order = stubborn(leader, agent)
    send(named(agent, piece), signal.SIGKILL)

    end = leader.end(order)

    assert ("killed", signal.SIGKILL) == (end.reason, end.signal)
    well(leader, agent)


@pytest.mark.parametrize("piece", ["shim", "warm child"])
def test_after_a_piece_was_killed_while_idle_the_agent_takes_new_work(
    leader: Leader, agent: AgentProcess, piece: str
) -> None:
    """W5: both a child that is warm and the fresh one beside it."""
    agent.admitted()
    leader.run(NOTHING)
    idle = wait_for(lambda: named(agent, piece), "nothing is idle")
    send(idle, signal.SIGKILL)
    wait_for(lambda: set(idle).isdisjoint(named(agent, piece)), "they were not killed")

    well(leader, agent)

    assert set(idle).isdisjoint(named(agent, piece))


def test_what_is_handed_to_a_frozen_child_runs_in_another(
    leader: Leader, agent: AgentProcess
) -> None:
    """W5: after 3 s; it was chosen since it had run this keypair's work last."""
    agent.admitted()
    leader.run(NOTHING)
    idle = wait_for(lambda: named(agent, "warm child"), "nothing is idle")
    send([*named(agent, "shim"), *named(agent, "warm child")], signal.SIGSTOP)

    well(leader, agent)

    wait_for(lambda: set(idle).isdisjoint(named(agent, "warm child")), "they were left frozen")


@pytest.mark.parametrize("piece", ["shim", "warm child"])
def test_what_lies_before_a_child_that_dies_runs_in_another(
    leader: Leader, agent: AgentProcess, piece: str
) -> None:
    """W5: nothing of it was done, so its session has lost no attempt; what the child was at ends with it."""
    agent.admitted()
    leader.run(NOTHING)
    idle = wait_for(lambda: named(agent, "warm child"), "nothing is idle")
    frozen = [*named(agent, "shim"), *idle]
    send(frozen, signal.SIGSTOP)
    [order] = started(leader, NOTHING)

    send(named(agent, piece), signal.SIGKILL)

    assert 0 == leader.end(order).exit_code
    wait_for(lambda: set(frozen).isdisjoint(named(agent, piece)), "they were left frozen")
    well(leader, agent)


def test_a_zygote_that_is_killed_while_idle_ends_the_agent_and_its_next_boot_works(
    leader: Leader, agent: AgentProcess
) -> None:
    """W5: nothing could be started or buried any more; its supervisor starts it again."""
    agent.admitted()
    leader.run(NOTHING)
    send(named(agent, "zygote"), signal.SIGKILL)

    assert 1 == agent.wait()
    assert [] == agent.left()

    agent.admitted()
    well(leader, agent)


@pytest.mark.parametrize("payload", [STUBBORN, SLEEP], ids=["callable", "command"])
def test_a_frozen_shim_does_not_keep_its_kernel_past_the_lease(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis, payload: dict[str, object]
) -> None:
    """W5: it cannot kill what it holds, so the agent, which is cut off from Redis, has it killed."""
    agent.admitted(LEASE="1s")
    [order] = started(leader, payload)
    before = {process.pid for process in agent.left()}
    send(named(agent, "shim"), signal.SIGSTOP)
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: len(agent.left()) <= 1, f"{before} outlived the lease", within=30.0)
    finally:
        os.kill(server.pid, signal.SIGCONT)

    assert "killed" == leader.end(order).reason
    well(leader, agent)


def test_a_frozen_shim_does_not_outlive_its_agent(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    started(leader, STUBBORN, SLEEP)
    send(named(agent, "shim"), signal.SIGSTOP)

    agent.signal(signal.SIGKILL)

    wait_for(lambda: not agent.left(), "something lived on", within=30.0)


def test_a_frozen_shim_is_stopped_when_its_session_is(leader: Leader, agent: AgentProcess) -> None:
    agent.admitted()
    [order] = started(leader, STUBBORN)
    send(named(agent, "shim"), signal.SIGSTOP)

    leader.stop(order)

    assert "stopped" == leader.end(order).reason
    well(leader, agent)


def test_of_two_agents_started_with_one_id_at_once_one_runs(
    leader: Leader, agent: AgentProcess, server: EmbeddedRedis, tmp_path: Path
) -> None:
    """W5: on one machine; the other is told, and exits."""
    second = AgentProcess(server.url, leader, tmp_path)
    second.log = tmp_path / "second.log"
    both = [agent, second]
    for each in both:
        each.start()

    try:
        lost = wait_for(
            lambda: [e for e in both if e.process and e.process.poll() is not None], "both run"
        )
        leader.admit(leader.registration().boot)

        assert [4] == [each.wait() for each in lost]
        assert "already runs" in lost[0].log.read_text().splitlines()[-1]
        [winner] = [each for each in both if each is not lost[0]]
        well(leader, winner)
    finally:
        second.end()
