"""What timeouts history recommends."""

from __future__ import annotations

from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.durations import PER_OCTAVE, Durations, recommend, rounded_up


def digest(*runs_ms: int, timed_out: int = 0) -> Durations:
    counts: dict[int, int] = {}
    for ms in runs_ms:
        bucket = ceil(log2(max(1, ms)) * PER_OCTAVE)
        counts[bucket] = counts.get(bucket, 0) + 1
    return Durations(counts, timed_out)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=200), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_at_most_a_tenth_too_long(runs: list[int], share: int) -> None:
    """J6: of 250 buckets, however long the runs are."""
    exact = sorted(runs)[ceil(len(runs) * share / 100) - 1]

    found = digest(*runs).percentile(share)

    assert found is not None
    assert exact - 1 <= found <= exact * 1.1 + 1


def test_a_recommendation_is_half_as_long_again_as_nearly_all_runs() -> None:
    """J6."""
    found = recommend("build", digest(*[60_000] * 99, 600_000), 1_800_000)

    assert (100, 0, 1_800_000) == (found.runs, found.timed_out, found.setting_ms)
    assert found.p99_ms is not None
    assert rounded_up(found.p99_ms * 1.5) == found.recommended_ms
    assert "p99 x 1.5" == found.says


def test_nineteen_runs_are_too_few() -> None:
    """J6."""
    found = recommend("build", digest(*[60_000] * 18, timed_out=1), 1_800_000)

    assert found.recommended_ms is None
    assert "too few runs to tell: 19 of 20" == found.says


def test_where_many_time_out_the_percentile_says_too_little() -> None:
    """J6: what was stopped would have run longer than all that is known."""
    found = recommend("build", digest(*[60_000] * 90, timed_out=10), 120_000)

    assert 240_000 == found.recommended_ms
    assert "10 of 100 timed out, so p99 is beyond the setting: twice that" == found.says


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (1, 1_000),
        (59_001, 60_000),
        (61_000, 120_000),
        (3_600_001, 4_500_000),
        (90_000_000, 90_000_000),
    ],
)
def test_a_timeout_is_rounded_up_to_what_people_would_set(ms: int, expected: int) -> None:
    assert expected == rounded_up(ms)
