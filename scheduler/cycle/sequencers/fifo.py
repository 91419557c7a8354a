"""First in, first out, within priority bands."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext
from scheduler.plugins.options import SCHEDULER_OPTS, PluginOptions, read_options


class FifoScheduler(AbstractScheduler):
    """Higher priority first; within a band in the order of submission. All bands are served."""

    name: ClassVar[str] = "fifo"

    def __init__(self, opts: Mapping[str, Any]) -> None:
        read_options(PluginOptions, opts, self.name, SCHEDULER_OPTS)
        self._heap: list[tuple[int, int, Candidate]] = []

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (-candidate.priority, candidate.seq)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:  # noqa: ARG002 - nothing else counts
        # seq is unique, so two candidates are never compared themselves.
        self._heap = [(-head.priority, head.seq, head) for head in heads]
        heapq.heapify(self._heap)

    def pick_session(self) -> Candidate | None:
        return heapq.heappop(self._heap)[2] if self._heap else None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:  # noqa: ARG002 - FIFO keeps no shares
        if successor is not None:
            heapq.heappush(self._heap, (-successor.priority, successor.seq, successor))
