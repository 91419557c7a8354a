"""Tells waiting sessions their position: now and then the order in which they would be tried is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scheduler.cycle.order import order_of
from scheduler.domain.clock import Clock
from scheduler.domain.moves import Positions
from scheduler.domain.position import TOLD
from scheduler.leader.state import LeaderState
from scheduler.plugins.interfaces import AbstractScheduler

#: How long it rests between two looks, s: for each session that it tells of, and at least; and for how many
#: times as long as the look took, which makes a fiftieth of the time. A thousand ids are 27 KB each 5 s.
_RESTS_S: Final = 0.005
_EVERY_S: Final = 1.0
_RESTS: Final = 49
#: With time owners rise by decay and sessions by ageing, s.
_AGAIN_S: Final = 60.0
#: Kinds of request beyond which nobody is told: to look at the first of each takes 2 us.
_MOST_KINDS: Final = 10_000


class Positioning:
    """What is told of one group in one term."""

    def __init__(self, group: str, state: LeaderState, clock: Clock) -> None:
        self._group = group
        self._state = state
        self._clock = clock
        self._look_at = 0.0
        self._seen: tuple[object, ...] = ()
        self._written: str | None = None

    def due(self, scheduler: AbstractScheduler) -> Sequence[Positions]:
        """What is to be written now: nothing where nothing changed."""
        began, picture = self._clock.monotonic(), self._state.snapshot
        waiting = picture.waiting
        if began < self._look_at or not self._state.all_loaded:
            return ()
        # A scheduler that was changed is another object; kept here, so that no other gets its id.
        seen = (scheduler, waiting.changes, picture.changes, began // _AGAIN_S)
        if seen == self._seen:
            return ()
        self._seen, found = seen, None
        if 0 < waiting.kinds <= _MOST_KINDS:
            found = order_of(picture, scheduler, TOLD)
        took = self._clock.monotonic() - began
        self._look_at = began + max(_EVERY_S, _RESTS_S * len(found or ()), _RESTS * took)
        told = " ".join(found or ())
        if told == self._written:
            return ()
        # At first also where there is nothing to tell: a former term may have left something.
        self._written = told
        head = f"{picture.now_ms} {scheduler.name}"
        return (Positions(self._group, f"{head}\n{told}" if told else ""),)
