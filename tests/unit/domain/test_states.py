"""The two lives: everything is reachable, nothing is a trap, and the diagram shows all of it."""

from __future__ import annotations

import re

import pytest

from scheduler.domain.states import (
    FINAL,
    KERNEL_LIFE,
    KERNEL_LIVE,
    PLACED,
    SESSION_LIFE,
    STOP_STRENGTH,
    WAITING,
    Edge,
    KernelState,
    SessionState,
    allowed,
    diagram,
)

Life = tuple[Edge, ...]
LIVES = [
    (SESSION_LIFE, set(SessionState), set(FINAL)),
    (KERNEL_LIFE, set(KernelState), set(KernelState) - set(KERNEL_LIVE)),
]
each_life = pytest.mark.parametrize(("life", "states", "final"), LIVES, ids=["session", "kernel"])


def reachable(life: Life, start: str) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        state = ahead.pop()
        for edge in life:
            if state in edge.sources:
                ahead += edge.targets - found
                found |= edge.targets
    return found


@each_life
def test_every_state_is_reached_from_nothing(life: Life, states: set[str], final: set[str]) -> None:
    assert states == reachable(life, "")
    assert final


@each_life
def test_whatever_has_not_ended_can_end(life: Life, states: set[str], final: set[str]) -> None:
    for state in states - final:
        assert reachable(life, state) & final, state


@each_life
def test_a_verb_has_one_row(life: Life, states: set[str], final: set[str]) -> None:
    verbs = [edge.verb for edge in life]

    assert len(verbs) == len(set(verbs))
    for edge in life:
        assert edge.sources <= states | {""}
        assert edge.targets <= states
        assert edge.says
    assert final < states


@each_life
def test_the_diagram_shows_every_state_and_every_move(
    life: Life, states: set[str], final: set[str]
) -> None:
    text = diagram(life)
    moves = {
        tuple(found) for found in re.findall(r"^    (\S+) --> (\S+): (\S+)$", text, re.MULTILINE)
    }

    assert text.startswith("stateDiagram-v2\n")
    assert moves == {(s or "[*]", t, e.verb) for e in life for s in e.sources for t in e.targets}
    assert states == {state for move in moves for state in move[:2]} - {"[*]"}
    if life is SESSION_LIFE:
        assert all(f"{state} --> [*]" in text for state in final)


def test_what_ended_leaves_only_by_a_retry_and_success_not_even_then() -> None:
    leaving = {
        (edge.verb, source) for edge in SESSION_LIFE for source in edge.sources if source in FINAL
    }

    assert {
        ("retry", SessionState.FAILED),
        ("retry", SessionState.TIMED_OUT),
        ("retry", SessionState.CANCELLED),
    } == leaving


def test_the_states_are_waiting_placed_or_final() -> None:
    parts = [*WAITING, *PLACED, *FINAL]

    assert sorted(SessionState) == sorted(parts)
    assert len(parts) == len(set(parts))


def test_a_stronger_reason_wins() -> None:
    assert ["cancelled", "timed_out", "silent", "failed", "lost", "unplaced"] == sorted(
        STOP_STRENGTH, key=lambda reason: -STOP_STRENGTH[reason]
    )


def test_a_move_is_allowed_by_its_row_only() -> None:
    assert allowed(SESSION_LIFE, "place", SessionState.READY, SessionState.SCHEDULED)
    assert not allowed(SESSION_LIFE, "place", SessionState.PENDING, SessionState.SCHEDULED)
    assert not allowed(SESSION_LIFE, "place", SessionState.READY, SessionState.RUNNING)
    assert not allowed(SESSION_LIFE, "fly", SessionState.READY, SessionState.SCHEDULED)
