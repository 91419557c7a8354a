"""All kernels of a session on one agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from scheduler.domain.request import Request
from scheduler.domain.spec import ClusterMode
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    KernelAgentBinding,
    Need,
    Room,
)


class SingleNode(AbstractClusterMode):
    """The sum of the kernels' slots on one agent."""

    name: ClassVar[str] = ClusterMode.SINGLE_NODE

    def needs(self, request: Request) -> Sequence[Need]:
        return (Need.of(request.kernels, request.constraints),)

    def schedule(
        self, needs: Sequence[Need], room: Room, selector: AbstractAgentSelector
    ) -> Sequence[KernelAgentBinding] | None:
        return schedule_single_node_session(needs[0], room, selector)


def schedule_single_node_session(
    need: Need, room: Room, selector: AbstractAgentSelector
) -> Sequence[KernelAgentBinding] | None:
    """One agent for all kernels; None where none has room (seed 000, 4.1)."""
    index = room.choose(selector.assign_agent_for_session, need)
    return None if index is None else room.take(index, need, range(len(need.kernels)))
