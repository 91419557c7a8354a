"""The part that the ranking selectors share: best agent first, without looking at all of them each time.

Each kind of need keeps a heap of agents by rank. An agent whose free slots changed is pushed again
with its new rank, and entries that are out of date are dropped when they come up; so a placement
costs a few heap steps, however many agents there are. Where ranks depend on nothing of a need but its
families, needs share an order (shared.py) as long as its first agents have room.
"""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from scheduler.cycle.selectors.priority import SlotPriority, in_order
from scheduler.cycle.selectors.shared import SharedOrder
from scheduler.plugins.interfaces import AbstractAgentSelector, AgentView, Need
from scheduler.plugins.options import SELECTOR_OPTS, PluginOptions, read_options

#: Kinds of need whose ranking is kept; the one longest unused is dropped.
_KEPT = 1024
#: Choices for a kind of need by its own ranking, after the shared order had too many without room.
_ALONE = 64

Rank = tuple[int, ...]


class _Ranking:
    """Agents by rank for one kind of need."""

    def __init__(self) -> None:
        self.heap: list[tuple[Rank, str, int]] = []
        self.current: dict[int, Rank | None] = {}
        self.version = -1


class RankedOptions(PluginOptions):
    """What all ranking selectors may be told."""

    #: Which slots are compared first; those that are not named follow: accelerators, cpu, mem, disk.
    slot_priority: SlotPriority = ()
    #: Agents with the fewest kernels of the session's endpoint come first of all.
    enforce_spreading_endpoint_replica: bool = False


class RankedAgentSelector(AbstractAgentSelector):
    """Chooses the agent with the lowest rank that has room; ties are broken by id."""

    #: Whether ``amounts`` says one amount for each family, and looks at nothing of a need but those.
    by_families: ClassVar[bool] = False

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._opts = read_options(RankedOptions, opts, self.name, SELECTOR_OPTS)
        self._rankings: OrderedDict[tuple[object, ...], _Ranking] = OrderedDict()
        self._orders: OrderedDict[tuple[object, ...], SharedOrder] = OrderedDict()
        self._alone: dict[tuple[object, ...], int] = {}

    @abstractmethod
    def amounts(self, view: AgentView, index: int, need: Need) -> Rank:
        """What agents with equally few extra slots are compared by: lower ranks first."""

    def families(self, need: Need) -> tuple[str, ...]:
        """What a need asks for, in the order in which it is compared."""
        first = self._opts.slot_priority
        return in_order(need.families, first) if first else need.families

    def least(self, need: Need) -> int:  # noqa: ARG002 - the usual answer looks at nothing
        """What the first amount of a rank must be for an agent to have room; 0 if that is not known."""
        return 0

    def rank(self, view: AgentView, index: int, need: Need) -> Rank:
        """Fewest slots that were not asked for, then amounts; before both, replicas where they spread."""
        free = view.free_by_family(index)
        extras = len(free)
        for family in need.families:
            if family in free:
                extras -= 1
        rank = (extras, *self.amounts(view, index, need))
        endpoint = need.constraints.endpoint
        if not (endpoint and self._opts.enforce_spreading_endpoint_replica):
            return rank
        return (view.kernels_of_endpoint(index, endpoint), *rank)

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:
        if self.by_families and not self._goes_alone(need):
            found, known = self._shared(view, need).best(view, need, self.least(need))
            if known:
                return found
            if len(self._alone) > _KEPT:
                self._alone.clear()
            self._alone[need.key] = _ALONE
        return self._by_its_own(view, need)

    def _goes_alone(self, need: Need) -> bool:
        left = self._alone.get(need.key)
        if left is None:
            return False
        if left:
            self._alone[need.key] = left - 1
        else:
            del self._alone[need.key]
        return True

    def _shared(self, view: AgentView, need: Need) -> SharedOrder:
        spread = self._opts.enforce_spreading_endpoint_replica
        key = (need.families, need.constraints.endpoint if spread else "")
        order = self._orders.get(key)
        if order is None:
            order = self._orders[key] = SharedOrder()
            if len(self._orders) > _KEPT:
                self._orders.popitem(last=False)
        self._orders.move_to_end(key)
        order.follow(view, partial(self.rank, view, need=need))
        return order

    def _by_its_own(self, view: AgentView, need: Need) -> int | None:
        ranking = self._ranking(view, need)
        heap, current = ranking.heap, ranking.current
        while heap:
            rank, _, index = heap[0]
            if current.get(index) == rank:
                if view.has_room(index, need):
                    return index
                current[index] = None
            heapq.heappop(heap)
        return None

    def _ranking(self, view: AgentView, need: Need) -> _Ranking:
        key = need.key
        ranking = self._rankings.get(key)
        if ranking is None:
            ranking = self._rankings[key] = _Ranking()
            if len(self._rankings) > _KEPT:
                self._rankings.popitem(last=False)
        self._rankings.move_to_end(key)
        changed = view.changed_since(ranking.version)
        # Ranking anew costs one look at all that fit; following costs one per change, and leaves an
        # entry behind each time, which comes up only when its rank does.
        overgrown = len(ranking.heap) > 4 * len(view) + 64
        if changed is None or ranking.version < 0 or len(changed) > len(view) or overgrown:
            fitting = view.fits(need)
            ranking.current = {index: self.rank(view, index, need) for index in fitting}
            ranking.heap = [
                (rank, view.agent_id(i), i)
                for i, rank in ranking.current.items()
                if rank is not None
            ]
            heapq.heapify(ranking.heap)
        else:
            for index in set(changed):
                rank = self.rank(view, index, need) if view.has_room(index, need) else None
                if ranking.current.get(index) != rank:
                    ranking.current[index] = rank
                    if rank is not None:
                        heapq.heappush(ranking.heap, (rank, view.agent_id(index), index))
        ranking.version = view.version
        return ranking
