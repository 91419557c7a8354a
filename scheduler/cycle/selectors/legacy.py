"""Prefers the largest agents, whatever runs on them."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.selectors.ranked import Rank, RankedAgentSelector
from scheduler.domain.slots import by_family
from scheduler.plugins.interfaces import AgentView, Need


class LegacyAgentSelector(RankedAgentSelector):
    """Fewest slots that were not asked for, then most capacity (field rule of seed 000, 1.3)."""

    name: ClassVar[str] = "legacy"

    def amounts(self, view: AgentView, index: int, need: Need) -> Rank:
        capacity = by_family(view.capacity(index))
        return tuple(-capacity.get(family, 0) for family in self.families(need))
