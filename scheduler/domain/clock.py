"""Time is given, not taken: the one place that reads this machine's clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What code may ask about time; tests pass one they can move."""

    def now_ms(self) -> int:
        """Wall clock, ms since 1970; for people and ids, never for deadlines."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back on this machine; pauses of the process count."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        # CLOCK_BOOTTIME, unlike time.monotonic(), goes on while the machine is suspended:
        # a lease or a term must be over for somebody who slept through it.
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc(ms: int) -> str:
    """A time of Redis' clock for people, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z"
