"""A cluster mode of a plugin: one kernel per rack, so that no rack takes two of them with it.

Its distribution names it in an entry point:

    [project.entry-points."scheduler.cluster_modes"]
    spread = "examples.spread:Spread"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from scheduler.domain.request import Request
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    KernelAgentBinding,
    Need,
    Room,
)

LABEL = "rack"


class Spread(AbstractClusterMode):
    """Each kernel in a rack of its own; agents without the label get none."""

    name: ClassVar[str] = "spread"

    def needs(self, request: Request) -> Sequence[Need]:
        return [Need.of([kernel], request.constraints) for kernel in request.kernels]

    def schedule(
        self, needs: Sequence[Need], room: Room, selector: AbstractAgentSelector
    ) -> Sequence[KernelAgentBinding] | None:
        bindings: list[KernelAgentBinding] = []
        used = {""}
        for kernel, need in enumerate(needs):
            beside = [i for i in room.agents.fits(need) if _rack(room, i) in used]
            index = room.choose(selector.assign_agent_for_kernel, need, without=beside)
            taken = None if index is None else room.take(index, need, [kernel])
            if index is None or taken is None:
                return None
            used.add(_rack(room, index))
            bindings += taken
        return bindings


def _rack(room: Room, index: int) -> str:
    return room.agents.labels(index).get(LABEL, "")
