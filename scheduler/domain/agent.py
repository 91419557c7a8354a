"""Agents: machines that run kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AgentStatus(StrEnum):
    """How the leader sees an agent."""

    READY = "ready"  #: admitted and beating
    NOT_READY = "not-ready"  #: silent for longer than it should be: nothing new
    LOST = "lost"  #: silent past its lease, grace and margin: its kernels are certainly dead
    LEFT = "left"  #: said goodbye
    WAITING = "waiting"  #: never admitted yet: a boot waits or was refused


@dataclass(frozen=True, slots=True)
class AgentData:
    """What the store knows of one agent."""

    id: str
    group: str
    boot: str
    status: AgentStatus
    drained: bool
    capacity: Mapping[str, int]  #: device slots, total
    free: Mapping[str, int]  #: device slots, not held by any kernel
    models: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    address: str = ""
    lease_ms: int = 30_000
    grace_ms: int = 3_000
    max_kernels: int = 0  #: 0 is no limit but the slots
    admitted_at: int = 0
    candidate: str = ""  #: a boot that waits for its predecessor's lease to be over
    refused: str = ""  #: why the last boot that asked was not admitted
    unreadable: tuple[
        str, ...
    ] = ()  #: fields of its record that make no sense, which count for little


@dataclass(frozen=True, slots=True)
class Beat:
    """The last beat of an agent, stamped with Redis' time."""

    at_ms: int
    boot: str
    claims: int
    running: tuple[str, ...]  #: ids of the orders it holds
