"""Agents that count as lost and beat: what they are told to stop, and when they may work again."""

from __future__ import annotations

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import Board
from scheduler.leader.returning import Returning
from scheduler.leader.watch import Watch
from tests.unit.intake.made import placed
from tests.unit.leader.test_watch import BEGAN, BOOT, RULES, agent

STRAY = f"{'0' * 26}-0-{'f' * 32}"
KEPT = placed(SessionState.RUNNING, [KernelState.UP])


class Scene:
    """A lost agent, a board that knows one session, and looks at beats."""

    def __init__(self) -> None:
        self.watch, self.board, self.returning = Watch(RULES, BEGAN), Board(), Returning()
        self.board.put(KEPT)

    def look(self, at: int, *running: str, boot: str = BOOT) -> tuple[list[str], list[str]]:
        """Who is back, what is to be stopped."""
        data: AgentData = agent(status=AgentStatus.LOST, boot=boot)
        self.watch.look([data], {"a0": Beat(BEGAN + at, boot, 0, running)}, BEGAN + at)
        back, stop = self.returning.look([data], self.watch, self.board)
        return [each.id for each in back], [order for _, order in stop]


def test_it_is_back_after_three_beats_that_name_nothing_unknown() -> None:
    scene = Scene()
    kept = KEPT.order(0)

    assert [[], [], ["a0"]] == [scene.look(at, kept)[0] for at in (1, 2, 3)]


def test_one_beat_that_is_looked_at_often_counts_once() -> None:
    scene = Scene()

    assert [[]] * 4 == [scene.look(at)[0] for at in (1, 1, 1, 2)]


def test_what_no_placement_knows_is_stopped_once_and_begins_the_count_anew() -> None:
    scene = Scene()
    looks = [scene.look(1), scene.look(2), scene.look(3, STRAY), scene.look(4, STRAY)]

    assert [([], []), ([], []), ([], [STRAY]), ([], [])] == looks
    assert [[], [], ["a0"]] == [scene.look(at)[0] for at in (5, 6, 7)]


def test_another_boot_begins_anew() -> None:
    scene = Scene()
    for at in (1, 2):
        scene.look(at)

    assert [] == scene.look(3, boot="f" * 32)[0]
