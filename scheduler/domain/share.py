"""Whose part of a group: what owners hold, and have used, measured against what its agents have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
#: For so many days, today included, use is on record; no scheduler can look back further.
KEPT_DAYS: Final = 60

#: Slots x seconds by owner and family.
Used = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What owners had used at a moment, by day of Redis' clock, counted from 1970; nobody changes it."""

    at_ms: int
    recorded: Mapping[int, Used]  #: of kernels that were over; a day read twice may be one object
    running: Mapping[int, Used] = field(default_factory=dict)  #: of those that still held slots


def dominant_share(held: Mapping[str, int], capacity: Mapping[str, int]) -> float:
    """The largest part of any family that is held, 0 to 1; what no agent has any more does not count."""
    largest = 0.0
    # No generator: each owner is asked about in each cycle, and it costs more than all it looks at.
    for family, amount in held.items():
        whole = capacity.get(family)
        if whole and amount / whole > largest:
            largest = amount / whole
    return largest


def add_use(
    used: dict[int, Used], owner: str, held: Mapping[str, int], since_ms: int, until_ms: int
) -> None:
    """Add what was held from one moment to another, split at midnight, as lib/count_use.lua records it."""
    since = max(since_ms, (until_ms // DAY_MS - KEPT_DAYS + 1) * DAY_MS)
    while since < until_ms:
        day = since // DAY_MS
        until = min(until_ms, (day + 1) * DAY_MS)
        families = used.setdefault(day, {}).setdefault(owner, {})
        for family, amount in held.items():
            # Rounded up: many short kernels are use, too.
            families[family] = families.get(family, 0) + -(-amount * (until - since) // 1000)
        since = until
