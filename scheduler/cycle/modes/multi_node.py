"""Each kernel of a session where there is room for it, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from scheduler.domain.fitting import largest_first
from scheduler.domain.request import Request
from scheduler.domain.spec import ClusterMode
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    KernelAgentBinding,
    Need,
    Room,
)


class MultiNode(AbstractClusterMode):
    """Every kernel is placed by its own request."""

    name: ClassVar[str] = ClusterMode.MULTI_NODE

    def needs(self, request: Request) -> Sequence[Need]:
        return need_of_each(request)

    def schedule(
        self, needs: Sequence[Need], room: Room, selector: AbstractAgentSelector
    ) -> Sequence[KernelAgentBinding] | None:
        return schedule_multi_node_session(needs, room, selector)


def schedule_multi_node_session(
    needs: Sequence[Need], room: Room, selector: AbstractAgentSelector
) -> Sequence[KernelAgentBinding] | None:
    """An agent for each kernel by its own need; None where one finds none (seed 000, 4.2)."""
    bindings: list[KernelAgentBinding] = []
    for kernel in largest_first([need.slots for need in needs]):
        index = room.choose(selector.assign_agent_for_kernel, needs[kernel])
        taken = None if index is None else room.take(index, needs[kernel], [kernel])
        if taken is None:
            return None
        bindings += taken
    return bindings


def need_of_each(request: Request) -> Sequence[Need]:
    """The need of each kernel; equal kernels share one."""
    made: dict[tuple[object, ...], Need] = {}
    needs = []
    for index, kernel in enumerate(request.kernels):
        constraints = request.constraints_of(index)
        key = (constraints, *kernel.items())
        if key not in made:
            made[key] = Need.of([kernel], constraints)
        needs.append(made[key])
    return needs
