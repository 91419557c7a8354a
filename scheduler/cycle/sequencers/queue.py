"""Schedulers for which whose session it is does not count: one queue per band."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from scheduler.cycle.sequencers.bands import BandedScheduler, BandOptions
from scheduler.plugins.interfaces import Candidate, SchedulingContext


class QueueScheduler(BandedScheduler):
    """Within a band by turn."""

    def __init__(self, options: BandOptions) -> None:
        super().__init__(options)
        self._heap: list[tuple[int, int, int, Candidate]] = []

    def stepped_over(self, head: Candidate) -> int:  # noqa: ARG002 - nobody, unless a subclass says so
        """1 to let the others of its band go first in this cycle, else 0."""
        return 0

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self.begin(context)
        # The turn is unique, so two candidates are never compared themselves.
        self._heap = [
            (-self.band(head), self.stepped_over(head), self.turn(head), head) for head in heads
        ]
        heapq.heapify(self._heap)

    def pick_session(self) -> Candidate | None:
        return heapq.heappop(self._heap)[3] if self._heap else None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:  # noqa: ARG002 - a queue keeps no shares
        if successor is not None:
            entry = (-self.band(successor), 0, self.turn(successor), successor)
            heapq.heappush(self._heap, entry)
