"""What must be known before anything is placed on a Redis that was restarted or replaced."""

from __future__ import annotations

import pytest

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import Board
from scheduler.leader.settling import Settling
from scheduler.leader.watch import Watch
from tests.unit.intake.made import placed
from tests.unit.leader.test_watch import BEGAN, BOOT, LOST_AFTER, RULES, agent

STRAY = f"{'0' * 26}-0-{'f' * 32}"
SESSION = placed(SessionState.RUNNING, [KernelState.UP])
OLD = BEGAN + 60_000  #: stamped by the clock of the server that is gone, which was ahead


@pytest.fixture
def watch() -> Watch:
    return Watch(RULES, BEGAN)


@pytest.fixture
def board() -> Board:
    made = Board()
    made.put(SESSION)
    return made


def settling(at_least_ms: int = 0) -> Settling:
    return Settling(BEGAN, {"a0": Beat(OLD, BOOT, 0, ())}, at_least_ms)


def seen(
    watch: Watch, at: int, beat_at: int, *running: str, data: AgentData | None = None
) -> list[AgentData]:
    agents = [data or agent()]
    watch.look(agents, {"a0": Beat(beat_at, BOOT, 0, running)}, BEGAN + at)
    return agents


def over(made: Settling, agents: list[AgentData], watch: Watch, board: Board, at: int) -> bool:
    return made.over(agents, watch, board, BEGAN + at)


def test_a_beat_of_the_server_before_does_not_count_however_new_it_looks(
    watch: Watch, board: Board
) -> None:
    made = settling()
    first = over(made, seen(watch, 1_000, OLD), watch, board, 1_000)

    assert (False, True) == (
        first,
        over(made, seen(watch, 2_000, BEGAN + 2_000), watch, board, 2_000),
    )


def test_who_stays_silent_is_waited_for_until_its_kernels_are_dead(
    watch: Watch, board: Board
) -> None:
    made, answers = settling(), []
    watch.redis_restarted(BEGAN)
    for at in (1_000, LOST_AFTER - 1, LOST_AFTER):
        watch.look([agent()], {}, BEGAN + at)
        answers.append(over(made, [agent()], watch, board, at))

    assert [False, False, True] == answers


def test_who_runs_what_no_placement_knows_is_told_once_and_waited_for(
    watch: Watch, board: Board
) -> None:
    made, known = settling(), SESSION.order(0)
    agents = seen(watch, 1_000, BEGAN + 1_000, known, STRAY)
    told = [[order for _, order in made.to_kill(agents, watch, board)] for _ in range(2)]
    waits = over(made, agents, watch, board, 1_000)
    agents = seen(watch, 2_000, BEGAN + 2_000, known)

    assert [[STRAY], []] == told
    assert (False, True) == (waits, over(made, agents, watch, board, 2_000))


def test_an_agent_that_cannot_end_a_kernel_does_not_hold_up_the_others_for_ever(
    watch: Watch, board: Board
) -> None:
    made = settling()
    agents = seen(watch, LOST_AFTER, BEGAN + LOST_AFTER, STRAY)

    assert over(made, agents, watch, board, LOST_AFTER)


@pytest.mark.parametrize("status", [AgentStatus.LEFT, AgentStatus.LOST])
def test_who_was_gone_before_is_not_waited_for(
    watch: Watch, board: Board, status: AgentStatus
) -> None:
    gone = [agent(status=status)]
    watch.look(gone, {}, BEGAN)

    assert over(settling(), gone, watch, board, 0)


def test_agents_that_no_record_knows_any_more_are_given_time(watch: Watch, board: Board) -> None:
    made = settling(at_least_ms=8_000)

    assert [False, True] == [over(made, [], watch, board, at) for at in (7_999, 8_000)]
