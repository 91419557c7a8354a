"""First in, first out, within priority bands; and how a plugin's options are checked."""

from __future__ import annotations

import pytest

from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.domain.errors import InvalidSetting
from scheduler.plugins.interfaces import SchedulingContext
from tests.unit.cycle.made import request, waiting


def picked(scheduler: FifoScheduler) -> list[str]:
    found = []
    while session := scheduler.pick_session():
        found.append(session.id)
    return found


def test_sessions_of_one_band_are_picked_in_the_order_of_submission() -> None:
    """K2."""
    scheduler = FifoScheduler({})

    scheduler.prioritize(
        SchedulingContext(),
        [waiting(seq=3, name="c"), waiting(seq=1, name="a"), waiting(seq=2, name="b")],
    )

    assert ["a", "b", "c"] == picked(scheduler)


def test_a_higher_band_comes_first_and_a_lower_one_still_comes() -> None:
    """K2; only the top band scheduled is a mistake we do not repeat."""
    scheduler = FifoScheduler({})

    scheduler.prioritize(
        SchedulingContext(),
        [
            waiting(seq=1, name="low", priority=0),
            waiting(seq=2, name="high", priority=100),
            waiting(seq=3, name="middle", priority=10),
        ],
    )

    assert ["high", "middle", "low"] == picked(scheduler)


def test_the_successor_of_a_placed_session_takes_its_own_place() -> None:
    scheduler = FifoScheduler({})
    first = waiting(seq=1, name="first")
    scheduler.prioritize(SchedulingContext(), [first, waiting(seq=3, name="third")])
    scheduler.pick_session()

    scheduler.update_allocation(first, waiting(seq=2, name="second"))

    assert ["second", "third"] == picked(scheduler)


def test_a_line_without_successor_is_over() -> None:
    scheduler = FifoScheduler({})
    scheduler.prioritize(SchedulingContext(), [waiting(name="only")])
    only = scheduler.pick_session()
    assert only is not None

    scheduler.update_allocation(only, None)

    assert [] == picked(scheduler)


def test_a_new_cycle_forgets_the_last_one() -> None:
    scheduler = FifoScheduler({})
    scheduler.prioritize(SchedulingContext(), [waiting(name="old")])

    scheduler.prioritize(SchedulingContext(), [waiting(name="new")])

    assert ["new"] == picked(scheduler)


def test_the_rank_within_a_line_is_the_order_of_picking() -> None:
    scheduler = FifoScheduler({})
    sessions = [
        waiting(request(), priority=p, seq=s, name=f"{p}-{s}") for p in (0, 10) for s in (1, 2)
    ]

    ranked = [s.id for s in sorted(sessions, key=scheduler.rank)]

    assert ["10-1", "10-2", "0-1", "0-2"] == ranked


@pytest.mark.parametrize("plugin", [FifoScheduler, DispersedAgentSelector])
def test_an_option_that_nobody_knows_is_refused_with_a_sentence(plugin: type) -> None:
    """K1."""
    with pytest.raises(InvalidSetting, match="has no option 'colour'"):
        plugin({"colour": "red"})
