"""What the built-in schedulers share: bands of priority, and how sessions rise through them by waiting."""

from __future__ import annotations

from copy import copy
from typing import Self

from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext
from scheduler.plugins.options import Duration, PluginOptions


class BandOptions(PluginOptions):
    """What every built-in scheduler may be told."""

    #: A waiting session counts one priority higher per such duration (ms); 0: it never does.
    ageing: Duration = 0


class BandedScheduler(AbstractScheduler):
    """Serves every band of priority, higher ones first; the strategy of a subclass rules inside a band.

    With ageing, all that wait rise at the same moments, whenever Redis' clock passes a multiple of the
    duration. So the difference between two sessions never changes: the rank of a session within its
    line is fixed although its band is not, for any strategy and any two priorities in one line. The
    first step may come early by up to one duration, the others come one duration apart.

    Steps go on beyond 100, which nobody can ask for: whoever got there stands before all that are
    still to come, so what can be placed at all waits for a bounded time, under every strategy.
    """

    def __init__(self, options: BandOptions) -> None:
        self._ageing_ms = options.ageing
        self._step = 0

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        ageing = self._ageing_ms
        began = candidate.waiting_since // ageing if ageing else 0
        return (began - candidate.priority, self.turn(candidate))

    def turn(self, candidate: Candidate) -> int:
        """The place of a session among those of its band and its line: lower first, never changing."""
        return candidate.seq

    def rehearse(self) -> Self:
        other = copy(self)
        other.detach()
        return other

    def detach(self) -> None:
        """Let go of what a copy shares with its original, and would change."""

    def begin(self, context: SchedulingContext) -> None:
        """A cycle begins: bands are as they are now."""
        if self._ageing_ms:
            self._step = context.now_ms // self._ageing_ms

    def band(self, candidate: Candidate) -> int:
        """The priority a session counts with in this cycle."""
        ageing = self._ageing_ms
        if not ageing:
            return candidate.priority
        # Redis' clock was read before some of them were submitted: nobody falls below what was asked.
        return candidate.priority + max(0, self._step - candidate.waiting_since // ageing)
