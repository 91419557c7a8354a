"""How long the jobs of a role ran, as counts in buckets that grow; and what timeout follows from that.

A run of t ms is counted in bucket ceil(8 log2 t), whose upper end is 9 % above its lower one, so 250
buckets reach from a millisecond to a hundred years, and a percentile is at most 9 % too long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

PER_OCTAVE: Final = 8
#: Runs from which a recommendation is made.
ENOUGH: Final = 20
#: Of what was found this is recommended, so that a job that takes half as long again still ends well.
FACTOR: Final = 1.5
#: Where more than one run in a hundred timed out, the 99th percentile is beyond the setting.
_CENSORED: Final = 100
_STEPS_MS: Final = ((60_000, 1_000), (3_600_000, 60_000), (86_400_000, 900_000))


@dataclass(frozen=True, slots=True)
class Durations:
    """The digest of one role."""

    counts: Mapping[int, int] = field(default_factory=dict)  #: runs that went well, by bucket
    timed_out: int = 0  #: runs that were stopped at their deadline: nobody knows how long they take

    @property
    def runs(self) -> int:
        """Runs that went well."""
        return sum(self.counts.values())

    def percentile(self, share: float) -> int | None:
        """The time (ms) within which so many percent of the runs went well; None where there are none."""
        runs, seen = self.runs, 0
        if not runs:
            return None
        rank = max(1, -(-runs * share // 100))
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return upper_end(bucket)
        return upper_end(max(self.counts))


@dataclass(frozen=True, slots=True)
class RecommendedTimeout:
    """What the history of a role says of its timeout. Times in ms."""

    role: str  #: "" for jobs without one
    runs: int
    timed_out: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    setting_ms: int | None  #: None where the office has no configuration
    recommended_ms: int | None  #: None where there is too little to go by
    says: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def upper_end(bucket: int) -> int:
    """The longest run (ms) that a bucket counts."""
    return max(1, int(2 ** (bucket / PER_OCTAVE)))


def recommend(role: str, durations: Durations, setting_ms: int | None) -> RecommendedTimeout:
    """A timeout for a role by its history, and the rule it follows from."""
    p99 = durations.percentile(99)
    recommended, says = _recommended(durations, p99, setting_ms)
    return RecommendedTimeout(
        role=role,
        runs=durations.runs,
        timed_out=durations.timed_out,
        p50_ms=durations.percentile(50),
        p95_ms=durations.percentile(95),
        p99_ms=p99,
        setting_ms=setting_ms,
        recommended_ms=recommended,
        says=says,
    )


def _recommended(
    durations: Durations, p99: int | None, setting_ms: int | None
) -> tuple[int | None, str]:
    total = durations.runs + durations.timed_out
    if p99 is None or total < ENOUGH:
        return None, f"too few runs to tell: {total} of {ENOUGH}"
    found = rounded_up(p99 * FACTOR)
    if durations.timed_out * _CENSORED > total and setting_ms is not None:
        doubled = rounded_up(2 * setting_ms)
        return max(found, doubled), (
            f"{durations.timed_out} of {total} timed out, so p99 is beyond the setting: twice that"
        )
    return found, f"p99 x {FACTOR:g}"


def rounded_up(ms: float) -> int:
    """Up to what people would set: seconds below a minute, minutes below an hour, quarters of one, hours."""
    step = next((step for below, step in _STEPS_MS if ms <= below), 3_600_000)
    return int(-(-ms // step) * step)
