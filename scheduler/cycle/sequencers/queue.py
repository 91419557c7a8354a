"""Schedulers for which whose session it is does not count, but for turns: offices take them one by one."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from typing import Final

from scheduler.cycle.sequencers.bands import BandedScheduler, BandOptions
from scheduler.plugins.interfaces import Candidate, SchedulingContext

#: Offices whose last turn is remembered; one that is forgotten goes first once, as a new one does.
_REMEMBERED: Final = 10_000

#: Offices whose turns the next leader is told of, the last served: those beside them had their turns
#: before them all. A thousand names are about 20 KB, written with fifty placements.
_KEPT: Final = 1_000

_Entry = tuple[int, int, int, Candidate]


class QueueScheduler(BandedScheduler):
    """Offices by turns, one placement each; inside an office by band, and within a band by turn.

    What is nobody's job takes turns as one office of its own, so that a group without offices is one
    queue. Whose last placement is longest ago goes first, then who never had any, by name: between
    two placements of an office, every other one with a session that finds room gets one. The
    priorities of a tenant so order its own jobs only.
    """

    def __init__(self, options: BandOptions) -> None:
        super().__init__(options)
        self._lanes: dict[str, list[_Entry]] = {}  #: heaps of heads, by office
        self._order: list[tuple[int, str]] = []  #: heap of offices, by their last turn
        self._turns: dict[str, int] = {}  #: when an office had its last turn, in that order
        self._clock = 0

    def stepped_over(self, head: Candidate) -> int:  # noqa: ARG002 - nobody, unless a subclass says so
        """1 to let the others of its band go first in this cycle, else 0."""
        return 0

    def detach(self) -> None:
        self._turns = dict(self._turns)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self.begin(context)
        lanes: dict[str, list[_Entry]] = {}
        for head in heads:
            # The turn is unique, so two candidates are never compared themselves.
            entry = (-self.band(head), self.stepped_over(head), self.turn(head), head)
            office = head.request.office
            lane = lanes.get(office)
            if lane is None:
                lanes[office] = [entry]
            else:
                lane.append(entry)
        for lane in lanes.values():
            heapq.heapify(lane)
        self._lanes = lanes
        self._order = [(self._turns.get(office, 0), office) for office in lanes]
        heapq.heapify(self._order)

    def pick_session(self) -> Candidate | None:
        while self._order:
            told, office = self._order[0]
            turn = self._turns.get(office, 0)
            if told != turn:
                heapq.heapreplace(self._order, (turn, office))
                continue
            lane = self._lanes[office]
            if lane:
                # Where it is refused, the next of the office is tried: the turn is not had yet.
                return heapq.heappop(lane)[3]
            heapq.heappop(self._order)
            del self._lanes[office]
        return None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        office = placed.request.office
        self._clock += 1
        self._turns.pop(office, None)
        self._turns[office] = self._clock
        if len(self._turns) > _REMEMBERED:
            del self._turns[next(iter(self._turns))]
        if successor is None:
            return
        entry = (-self.band(successor), 0, self.turn(successor), successor)
        lane = self._lanes.get(office)
        if lane is None:
            self._lanes[office] = [entry]
            heapq.heappush(self._order, (self._clock, office))
        else:
            heapq.heappush(lane, entry)

    def state(self) -> str | None:
        """The offices by their last turns, for who goes on; a group of one queue has none to tell."""
        if len(self._turns) < 2:  # noqa: PLR2004 - nobody takes turns alone
            return None
        return json.dumps(list(self._turns)[-_KEPT:], separators=(",", ":"))

    def restore(self, text: str) -> None:
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(office, str) for office in found):
            raise ValueError("it is no list of offices")
        self._turns = {office: turn for turn, office in enumerate(found, start=1)}
        self._clock = len(found)
