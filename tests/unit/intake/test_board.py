"""The board of placed sessions."""

from __future__ import annotations

from dataclasses import replace

from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import Board, PlacedSession
from tests.unit.intake.made import placed

K = KernelState


def running(name: str, kernels: int = 1) -> PlacedSession:
    return replace(placed(SessionState.RUNNING, [K.UP] * kernels), id=name)


def test_sessions_are_found_by_any_of_their_agents() -> None:
    board = Board()
    board.put(running("one"))
    board.put(running("two", kernels=2))

    assert [["one", "two"], ["two"], []] == [
        [s.id for s in board.on([agent])] for agent in ("a0", "a1", "a2")
    ]


def test_a_session_that_is_placed_no_more_is_nowhere() -> None:
    board = Board()
    board.put(running("one"))

    board.drop("one")
    board.drop("one")

    assert (0, None, [], {}) == (len(board), board.get("one"), board.on(["a0"]), board._by_agent)


def test_whoever_follows_the_board_is_told_of_each_change() -> None:
    """X6: what runs until when is kept beside it."""
    told: list[tuple[str, PlacedSession | None]] = []
    board = Board(lambda session, placed: told.append((session, placed)))
    one = running("one")

    board.put(one)
    board.drop("one")
    board.drop("one")

    assert [("one", one), ("one", None)] == told


def test_only_live_kernels_of_an_agent_are_counted() -> None:
    board = Board()
    session = running("one", kernels=2)
    board.put(session.with_kernel(replace(session.kernels[0], state=K.ENDED)))
    board.put(running("two"))

    assert [1, 1] == [board.live_on("a0")[0], board.live_on("a1")[0]]


def test_the_board_may_change_while_it_is_walked() -> None:
    board = Board()
    for name in ("one", "two"):
        board.put(running(name))

    for session in board:
        board.drop(session.id)

    assert 0 == len(board)
