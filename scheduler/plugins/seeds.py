"""The interfaces of the seeds (000, 1.2 and 1.3) as existing plugins implement them, and what they look at.

A plugin need not derive from the classes here; it is enough that it has their methods. Amounts are
integers by family: cpu in thousandths, mem and disk in MiB, accelerators in thousandths of a device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.states import SessionState


@dataclass(frozen=True, slots=True)
class SeedKernel:
    """One kernel: of a pending session without an agent."""

    id: int
    requested_slots: Mapping[str, int]
    agent: str | None = None
    status: str = SessionState.PENDING


@dataclass(frozen=True, slots=True)
class SeedSession:
    """A session, pending or placed."""

    id: str
    access_key: str  #: its keypair, "" without one
    user: str  #: its user, else its keypair
    priority: int
    created_at: datetime
    status: str  #: PENDING, or a state of a placed session
    session_type: str
    cluster_mode: str
    private: bool
    requested_slots: Mapping[str, int]  #: of all kernels
    occupying_slots: Mapping[str, int]  #: what its kernels hold now; nothing while it is pending
    kernels: tuple[SeedKernel, ...]
    scopes: Mapping[str, str]  #: names by kind: domain, group, user, keypair ...

    @property
    def session_id(self) -> str:
        """The same as its id."""
        return self.id

    @property
    def cluster_size(self) -> int:
        """How many kernels it has."""
        return len(self.kernels)


@dataclass(frozen=True, slots=True)
class SeedAgent:
    """An agent that takes work, meets the constraints and has room for what is placed."""

    id: str
    available_slots: Mapping[str, int]  #: in total
    occupied_slots: Mapping[str, int]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SeedWork:
    """What an agent is chosen for. Equal requests are decided once, so it does not say whose it is."""

    requested_slots: Mapping[str, int]  #: summed over the kernels
    kernels: tuple[SeedKernel, ...]


class SeedScheduler(ABC):
    """A scheduler of the seeds. A parameter called ``context`` gets the SchedulingContext."""

    def __init__(self, sgroup_opts: ScalingGroupOpts, config: Mapping[str, Any]) -> None:
        self.sgroup_opts = sgroup_opts
        self.config = config

    def prioritize(self, pending_sessions: Sequence[SeedSession]) -> Sequence[SeedSession]:
        """Those to try first, in order; the others come when none of these is left."""
        return pending_sessions

    @abstractmethod
    def pick_session(
        self,
        total_capacity: Mapping[str, int],
        pending_sessions: Sequence[SeedSession],
        existing_sessions: Sequence[SeedSession],
    ) -> str | None:
        """The id of the session to try next; None passes all of these over until the next cycle."""

    def update_allocation(self, scheduled_session: SeedSession) -> None:  # noqa: B027 - most keep nothing
        """The session that was picked was placed."""


class SeedAgentSelector(ABC):
    """An agent selector of the seeds."""

    def __init__(self, sgroup_opts: ScalingGroupOpts, config: Mapping[str, Any]) -> None:
        self.sgroup_opts = sgroup_opts
        self.config = config

    @abstractmethod
    def assign_agent_for_session(
        self, agents: Sequence[SeedAgent], pending_session: SeedWork
    ) -> str | None:
        """The id of the agent that gets all kernels of a session; None if none should."""

    @abstractmethod
    def assign_agent_for_kernel(
        self, agents: Sequence[SeedAgent], pending_kernel: SeedKernel
    ) -> str | None:
        """The id of the agent that gets one kernel; None if none should."""
