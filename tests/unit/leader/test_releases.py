"""Until when placed sessions hold what, as the leader tells the cycle."""

from __future__ import annotations

from dataclasses import replace

from scheduler.cycle.releases import START_MS, STOP_MS
from scheduler.cycle.snapshot import Snapshot
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedSession
from scheduler.leader.state import follow
from tests.unit.cycle.made import snapshot
from tests.unit.intake.made import placed

NOW = 1_000_000
ORDERED = placed(SessionState.SCHEDULED, [KernelState.ORDERED] * 2)


def known(made: Snapshot) -> tuple[int, list[str]]:
    held = made.releases.get(ORDERED.id)
    assert held is not None
    return held.ends_ms, [kernel.agent for kernel in held.kernels]


def followed(*steps: tuple[int, PlacedSession]) -> Snapshot:
    """A picture that was told of a session at these times."""
    made = snapshot([])
    for now, session in steps:
        made.now_ms = now
        follow(made, session.id, session)
    return made


def test_from_its_placement_until_it_runs_its_end_stays_the_same() -> None:
    """X6: else a promise would move with each look."""
    made = followed((NOW, ORDERED), (NOW + 700, ORDERED))

    ends_ms = NOW + START_MS + ORDERED.request.timeout_ms + STOP_MS
    assert (ends_ms, ["a0", "a1"]) == known(made)


def test_once_it_runs_its_deadline_counts() -> None:
    """X6."""
    running = replace(ORDERED, state=SessionState.RUNNING, running_at=NOW + 50)

    made = followed((NOW, ORDERED), (NOW + 60, running))

    assert NOW + 50 + ORDERED.request.timeout_ms + STOP_MS == known(made)[0]


def test_a_kernel_that_is_over_holds_nothing_and_a_session_that_is_gone_neither() -> None:
    over = ORDERED.with_kernel(replace(ORDERED.kernels[0], state=KernelState.ENDED))

    made = followed((NOW, ORDERED), (NOW, over))

    assert ["a1"] == known(made)[1]
    follow(made, ORDERED.id, None)
    assert 0 == len(made.releases)
