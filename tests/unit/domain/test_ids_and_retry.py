"""Ids sort by time and are safe as keys; back-off doubles, is capped, and spreads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.ids import (
    has_control_characters,
    is_name,
    is_session_id,
    new_nonce,
    new_session_id,
)
from scheduler.domain.retry import Growth, RetryPolicy


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_session_ids_sort_by_their_time(first: int, second: int) -> None:
    if first != second:
        assert (first < second) is (new_session_id(first) < new_session_id(second))


@given(st.integers(0, 2**48 - 1))
def test_a_session_id_has_its_shape(now: int) -> None:
    assert is_session_id(new_session_id(now))


def test_session_ids_of_one_moment_differ() -> None:
    assert 10_000 == len({new_session_id(1) for _ in range(10_000)})


def test_a_nonce_has_128_bits() -> None:
    nonce = new_nonce()

    assert (32, True) == (len(nonce), all(digit in "0123456789abcdef" for digit in nonce))
    assert nonce != new_nonce()


@pytest.mark.parametrize(
    "text", ["", "0" * 25, "0" * 27, "i" * 26, "A" * 26, "0" * 25 + "\n", "0" * 26 + "\n"]
)
def test_what_is_no_session_id_is_told(text: str) -> None:
    assert not is_session_id(text)


@pytest.mark.parametrize("text", ["a", "A1", "gpu-1", "a_b", "x" * 63])
def test_a_plain_word_is_a_name(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "_a", "a.b", "a:b", "a b", "ä", "a\n", "x" * 64, "a/b", "*"]
)
def test_what_would_break_a_key_is_no_name(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize(
    "text", ["\0", "a\x1b[0m", "\x7f", "\x85", "\u2028", "\u2029", "\n", "\t", "\ud800", "a\udfffb"]
)
def test_control_characters_are_found(text: str) -> None:
    assert has_control_characters(text)


def test_other_characters_pass() -> None:
    assert not has_control_characters("Ünïcödé 한글 🚀 %{}[]'\"\\")


@pytest.mark.parametrize(
    ("attempt", "delay"),
    [(1, 1_000), (2, 2_000), (3, 4_000), (6, 32_000), (7, 60_000), (50, 60_000), (10_000, 60_000)],
)
def test_the_back_off_doubles_up_to_its_cap(attempt: int, delay: int) -> None:
    """J5, W6."""
    assert delay == RetryPolicy().delay_ms(attempt, 0)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_spread_takes_up_to_a_fifth_off(attempt: int, spread: float) -> None:
    full = RetryPolicy().delay_ms(attempt, 0)

    assert full * 4 // 5 <= RetryPolicy().delay_ms(attempt, spread) <= full


@pytest.mark.parametrize(
    ("kind", "delays"), [(Growth.LINEAR, [100, 200, 250]), (Growth.CONSTANT, [100, 100, 100])]
)
def test_the_back_off_may_grow_otherwise(kind: Growth, delays: list[int]) -> None:
    """J5: kind, initial, maximum, jitter."""
    policy = RetryPolicy(kind=kind, initial_ms=100, maximum_ms=250, jitter=0.5)
    assert delays == [policy.delay_ms(attempt, 0) for attempt in (1, 2, 3)]
    assert policy.delay_ms(1, 0.5) == 75
