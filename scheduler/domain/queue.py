"""An office's queue in numbers, and what follows when one of its jobs ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scheduler.domain.states import SessionState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a job whose attempt is over."""

    state: SessionState  #: SUCCEEDED, RETRYING, FAILED or TIMED_OUT
    delay_ms: int = 0  #: of RETRYING: until it is tried again


@dataclass(frozen=True, slots=True)
class RoleStats:
    """The jobs of one role."""

    running: int  #: placed on agents
    waiting: int
    limit: int | None  #: how many may be placed at once; None: only the office limits it


@dataclass(frozen=True, slots=True)
class JobQueueStats:
    """How an office's queue stands. Jobs that ended are counted until retention forgets them."""

    office: str
    limit: int  #: how many jobs may be placed at once
    running: int  #: placed on agents, from their orders to their end
    ready: int  #: could be placed now
    pending: int  #: wait for other jobs, or for a time
    retrying: int  #: wait for their back-off
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    oldest_waiting_ms: int | None  #: since that one was submitted; None where nothing waits
    roles: Mapping[str, RoleStats]

    @property
    def waiting(self) -> int:
        """Jobs that are neither placed nor over."""
        return self.ready + self.pending + self.retrying

    @property
    def available_slots(self) -> int:
        """How many more jobs may be placed now. What runs above a limit that was lowered goes on."""
        return max(0, self.limit - self.running)

    def as_json(self) -> dict[str, Any]:
        """For JSON; times in ms."""
        return asdict(self) | {"waiting": self.waiting, "available_slots": self.available_slots}
