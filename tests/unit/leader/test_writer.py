"""Moves go into scripts that are not longer than Redis may be kept busy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.moves import Advance, Move, Up
from scheduler.leader.writer import BATCH, _parts

MOVES = st.sampled_from(
    [Up("s", "p", 0, 1, 1), Advance("s", "p", "UP", "ENDED", ["a1"], 1, 1, 1, "")]
)


@given(st.lists(MOVES, max_size=3 * BATCH))
def test_all_moves_in_order_and_none_too_many_at_once(moves: list[Move]) -> None:
    parts = list(_parts(moves))

    assert moves == [move for part in parts for move in part]
    assert max(sum(move.weight for move in part) for part in parts) <= BATCH
    assert all(parts) or parts == [[]]


def test_a_cursor_alone_is_written_too() -> None:
    assert [[]] == list(_parts([]))
