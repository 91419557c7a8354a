"""Binds the kernels of a need to device slots of one agent."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData
from scheduler.domain.fitting import lay
from scheduler.plugins.interfaces import Need


def bound(free: Mapping[str, int], agent: AgentData, need: Need) -> list[dict[str, int]] | None:
    """The device slots of each kernel out of what is free of one agent, or None."""
    if need.plain:
        # The hot path: where the numbers fit, they are the slots.
        kernel = need.kernels[0]
        for name, amount in kernel.items():
            if free.get(name, 0) < amount:
                return None
        return [dict(kernel)]
    if need.counted:
        slots = slot_math.allocate(need.kernels[0], free)
        return None if slots is None else [slots]
    found = []
    for slots in lay(need.kernels, free, agent, need.constraints):
        if slots is None:
            return None
        found.append(slots)
    return found
