"""What cycles did, counted: marks of the last, sums over all leaders, times of the last cycles."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.tally import Tally
from scheduler.leader.dispatcher import CycleCounts
from scheduler.leader.tallying import REMEMBERED, Tallying

NONE = CycleCounts()


def once(*, placed: int = 0, refused: int = 0, **causes: int) -> CycleCounts:
    """Counts after one cycle."""
    return CycleCounts(1, placed, refused, 0, Counter(causes))


def read(tallying: Tallying, now_s: float) -> Tally | None:
    """What is to be written now, as it is read back."""
    found = list(tallying.due(now_s))
    fields = found[0].fields if found else []
    return Tally.read(dict(zip(fields[::2], fields[1::2], strict=True))) if found else None


def test_a_cycle_is_marked_with_its_start_end_trigger_and_what_it_did() -> None:
    """K15."""
    tallying = Tallying("default", 7, Tally())
    tallying.woken("ready")
    tallying.woken("reports")
    tallying.woken("ready")

    tallying.ran(1_000, 0.25, NONE, once(placed=3, refused=2, agents=2, concurrency=1))

    assert Tally(
        started_at=1_000,
        ended_at=1_250,
        trigger="ready, reports",
        last_placed=3,
        last_refused=2,
        term=7,
        cycles=1,
        placed=3,
        refused=2,
        causes={"agents": 2, "concurrency": 1},
        triggers={"ready": 1, "reports": 1},
        busy_us=250_000,
        p50_us=250_000,
        p99_us=250_000,
    ) == read(tallying, 0)


def test_it_is_written_at_most_once_a_second_and_only_if_there_is_news() -> None:
    tallying = Tallying("default", 7, Tally())
    assert None is read(tallying, 0)
    tallying.ran(1, 0.001, NONE, once(placed=1))
    assert read(tallying, 0)
    tallying.ran(2, 0.001, NONE, once(placed=1))

    assert [None, True, None] == [read(tallying, now) and True for now in (0.99, 1.0, 5.0)]


def test_a_turn_without_a_cycle_is_none_and_forgets_what_woke_it() -> None:
    tallying = Tallying("default", 7, Tally())
    tallying.woken("sweep")

    tallying.ran(1, 0.001, NONE, NONE)

    assert None is read(tallying, 0)
    tallying.ran(2, 0.001, NONE, once(placed=1))
    found = read(tallying, 0)
    assert found
    assert "more" == found.trigger


def test_the_next_leader_goes_on_counting_and_its_times_are_its_own() -> None:
    before = Tally(term=7, cycles=10, placed=5, causes={"agents": 3}, p99_us=9_000_000, busy_us=10)
    tallying = Tallying("default", 8, before)

    tallying.ran(1, 0.001, NONE, once(placed=2, refused=1, agents=1))

    found = read(tallying, 0)
    assert found
    assert (8, 11, 7, {"agents": 4}, 1_000, 1_010) == (
        found.term,
        found.cycles,
        found.placed,
        found.causes,
        found.p99_us,
        found.busy_us,
    )


def test_percentiles_are_of_the_last_cycles() -> None:
    tallying = Tallying("default", 7, Tally())
    for took in [9.0, *[0.001 * n for n in range(1, REMEMBERED + 1)]]:
        tallying.ran(1, took, NONE, once(placed=1))

    found = read(tallying, 0)

    assert found
    assert (257_000, 507_000) == (found.p50_us, found.p99_us)


@given(
    st.builds(
        Tally,
        trigger=st.text(),
        cycles=st.integers(0, 2**53),
        causes=st.dictionaries(st.text(), st.integers(0, 2**40)),
    )
)
def test_a_tally_read_back_is_the_same(tally: Tally) -> None:
    fields = replace(tally, term=1).as_fields()

    assert replace(tally, term=1) == Tally.read(dict(zip(fields[::2], fields[1::2], strict=True)))
