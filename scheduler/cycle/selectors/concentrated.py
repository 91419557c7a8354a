"""Fills agents one after the other, so that large sessions still find an empty one."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.selectors.ranked import Rank, RankedAgentSelector
from scheduler.domain.slots import asked_by_family
from scheduler.plugins.interfaces import AgentView, Need


class ConcentratedAgentSelector(RankedAgentSelector):
    """Fewest slots that were not asked for, then least remaining (field rule of seed 000, 1.3)."""

    name: ClassVar[str] = "concentrated"
    by_families: ClassVar[bool] = True

    def amounts(self, view: AgentView, index: int, need: Need) -> Rank:
        free = view.free_by_family(index)
        return tuple([free.get(family, 0) for family in self.families(need)])

    def least(self, need: Need) -> int:
        first = self.families(need)[0]
        return need.slots[first] if need.plain else asked_by_family(need.kernels)[first]
