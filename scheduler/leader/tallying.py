"""Counts what cycles did, and says once a second what is new of that."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from scheduler.domain.moves import Count
from scheduler.domain.tally import Tally
from scheduler.leader.dispatcher import CycleCounts

#: Cycles whose times the percentiles are of.
REMEMBERED = 512
_EVERY_S = 1.0


class Tallying:
    """The tally of one term, which goes on from its predecessor's.

    What is written are sums, not differences: a write that is repeated changes nothing.
    """

    def __init__(self, group: str, term: int, before: Tally) -> None:
        self._group = group
        self._now = replace(before, term=term)
        self._causes, self._triggers = Counter(before.causes), Counter(before.triggers)
        self._times: deque[int] = deque(maxlen=REMEMBERED)
        self._woken: dict[str, None] = {}
        self._written = self._now
        self._written_at = float("-inf")

    def woken(self, by: str) -> None:
        """Something happened after which a cycle runs."""
        self._woken[by] = None

    def ran(self, started_at: int, took_s: float, before: CycleCounts, after: CycleCounts) -> None:
        """The dispatcher had its turn; how its counts stood before and stand after it."""
        woken, self._woken = self._woken, {}
        if after.cycles == before.cycles:
            return
        took_us = round(took_s * 1e6)
        self._times.append(took_us)
        self._causes.update(after.causes - before.causes)
        self._triggers.update(list(woken) or ["more"])
        placed, refused = after.placed - before.placed, after.refused - before.refused
        self._now = replace(
            self._now,
            started_at=started_at,
            ended_at=started_at + took_us // 1000,
            trigger=", ".join(woken) or "more",
            last_placed=placed,
            last_refused=refused,
            cycles=self._now.cycles + after.cycles - before.cycles,
            placed=self._now.placed + placed,
            refused=self._now.refused + refused,
            busy_us=self._now.busy_us + took_us,
        )

    def due(self, now_s: float) -> Sequence[Count]:
        """What is to be written now, at most once a second."""
        if self._now is self._written or now_s < self._written_at + _EVERY_S:
            return ()
        times = sorted(self._times)
        self._now = replace(
            self._now,
            causes=dict(self._causes),
            triggers=dict(self._triggers),
            p50_us=times[len(times) // 2],
            p99_us=times[len(times) * 99 // 100],
        )
        self._written, self._written_at = self._now, now_s
        return (Count(self._group, self._now.as_fields()),)
