"""Fills agents one after the other, so that large sessions still find an empty one."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.selectors.ranked import RankedAgentSelector


class ConcentratedAgentSelector(RankedAgentSelector):
    """Fewest slots that were not asked for, then least remaining (field rule of seed 000, 1.3)."""

    name: ClassVar[str] = "concentrated"

    def order(self, remaining: int) -> int:
        return remaining
