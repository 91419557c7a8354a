"""Spreads sessions over agents, so that each has as much room as can be had."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.selectors.ranked import RankedAgentSelector


class DispersedAgentSelector(RankedAgentSelector):
    """Fewest slots that were not asked for, then most remaining (field rule of seed 000, 1.3)."""

    name: ClassVar[str] = "dispersed"

    def order(self, remaining: int) -> int:
        return -remaining
