"""Schedulers for which it counts whose session it is: within a band, who had least goes first."""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field

from scheduler.cycle.sequencers.bands import BandedScheduler, BandOptions
from scheduler.plugins.interfaces import Candidate, OwnerShare, SchedulingContext

Weight = Annotated[float, Field(gt=0, le=1_000_000)]
Standing = tuple[float, ...]


class ShareOptions(BandOptions):
    """What schedulers by share may be told."""

    #: By owner, whose share is divided by it: with 2 an owner is due twice as much. 1 where none is named.
    weights: Mapping[str, Weight] = Field(default_factory=dict)


class _Band:
    """The heads of one band's lines, by owner; both heaps are made when the band's turn comes."""

    __slots__ = ("lines", "ranked")

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, Candidate]]] = {}
        self.ranked: list[tuple[Standing, str]] | None = None


class ShareScheduler(BandedScheduler):
    """Picks for one owner after the other, the one standing lowest first; FIFO inside an owner.

    What is placed counts at once, within the cycle: the standing of its owner is worked out anew, and
    an entry that is out of date is put right when it comes up. That is enough, as within a cycle
    nobody's share falls. A cycle so costs one step per head, one standing per owner of the bands it gets to,
    and a few heap steps per placement.
    """

    def __init__(self, options: ShareOptions) -> None:
        super().__init__(options)
        self._weights = options.weights
        self._context = SchedulingContext()
        self._standings: dict[str, Standing] = {}
        self._bands: dict[int, _Band] = {}
        self._order: list[int] = []  #: heap of bands, negated

    @abstractmethod
    def standing(self, context: SchedulingContext, owner: str) -> Standing:
        """What an owner has had, lower first; ties are broken by the owner's id."""

    def facts(self, context: SchedulingContext, owner: str) -> Mapping[str, float]:  # noqa: ARG002 - for those who know more
        """What a standing comes of, beside the dominant share, for people."""
        return {"weight": self.weight(owner)}

    def share_of(self, context: SchedulingContext, owner: str) -> OwnerShare:
        return OwnerShare(self.standing(context, owner), self.facts(context, owner))

    def weight(self, owner: str) -> float:
        """By what the share of an owner is divided."""
        return self._weights.get(owner, 1.0)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self.begin(context)
        self._context = context
        self._standings, self._bands = {}, {}
        bands = self._bands
        for head in heads:
            number, owner = self.band(head), head.request.owner
            band = bands.get(number)
            if band is None:
                band = bands[number] = _Band()
            lines = band.lines.get(owner)
            if lines is None:
                band.lines[owner] = [(head.seq, head)]
            else:
                lines.append((head.seq, head))
        self._order = [-number for number in bands]
        heapq.heapify(self._order)

    def pick_session(self) -> Candidate | None:
        while self._order:
            number = -self._order[0]
            found = self._first(self._bands[number])
            if found is not None:
                return found
            heapq.heappop(self._order)
            del self._bands[number]
        return None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        self._standings.pop(placed.request.owner, None)
        if successor is None:
            return
        number, owner = self.band(successor), successor.request.owner
        band = self._bands.get(number)
        if band is None:
            band = self._bands[number] = _Band()
            heapq.heappush(self._order, -number)
        lines = band.lines.get(owner)
        if lines is not None:
            heapq.heappush(lines, (successor.seq, successor))
            return
        band.lines[owner] = [(successor.seq, successor)]
        if band.ranked is not None:
            heapq.heappush(band.ranked, (self._now(owner), owner))

    def _first(self, band: _Band) -> Candidate | None:
        """The first session of the owner who stands lowest, taken out; seq is unique."""
        if band.ranked is None:
            for lines in band.lines.values():
                heapq.heapify(lines)
            band.ranked = [(self._now(owner), owner) for owner in band.lines]
            heapq.heapify(band.ranked)
        while band.ranked:
            was, owner = band.ranked[0]
            now = self._now(owner)
            if now != was:
                heapq.heapreplace(band.ranked, (now, owner))
                continue
            lines = band.lines[owner]
            head = heapq.heappop(lines)[1]
            if not lines:
                heapq.heappop(band.ranked)
                del band.lines[owner]
            return head
        return None

    def _now(self, owner: str) -> Standing:
        found = self._standings.get(owner)
        if found is None:
            found = self._standings[owner] = self.standing(self._context, owner)
        return found
