"""Binds the kernels of a need to device slots of one agent."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.cycle.filters import without_other_models
from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData
from scheduler.plugins.interfaces import Need


def bound(free: Mapping[str, int], agent: AgentData, need: Need) -> list[dict[str, int]] | None:
    """The device slots of each kernel out of what is free of one agent, or None."""
    models = need.constraints.models
    left = without_other_models(free, agent.models, models) if models else free
    if len(need.kernels) == 1:
        slots = slot_math.allocate(need.kernels[0], left)
        return None if slots is None else [slots]
    left, found = dict(left), []
    for request in need.kernels:
        slots = slot_math.allocate(request, left)
        if slots is None:
            return None
        found.append(slots)
        for slot, amount in slots.items():
            left[slot] -= amount
    return found
