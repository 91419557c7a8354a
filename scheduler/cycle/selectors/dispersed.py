"""Spreads sessions over agents, so that each has as much room as can be had."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.selectors.ranked import Rank, RankedAgentSelector
from scheduler.plugins.interfaces import AgentView, Need


class DispersedAgentSelector(RankedAgentSelector):
    """Fewest slots that were not asked for, then most remaining (field rule of seed 000, 1.3)."""

    name: ClassVar[str] = "dispersed"
    by_families: ClassVar[bool] = True

    def amounts(self, view: AgentView, index: int, need: Need) -> Rank:
        free = view.free_by_family(index)
        return tuple([-free.get(family, 0) for family in self.families(need)])
