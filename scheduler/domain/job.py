"""Jobs: sessions of an office, what their lists say of them, and the tries to run one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import is_name, shown
from scheduler.domain.office import office_and_role
from scheduler.domain.request import Request, parse_request_text
from scheduler.domain.scope import KINDS, Scope
from scheduler.domain.session import AttemptData, SessionData
from scheduler.domain.states import SessionState

#: The last moment that every part can count with, in ms: JSON, Lua and sorted sets hold 53 bits.
LATEST_MS: Final = 2**53 - 1


def job_text(scopes: Iterable[Scope]) -> str:
    """Whose job a session is, as its record keeps it: "office" or "office/role"; "" for nobody's.

    A scope of kind office may have any name in older data; only one that can name an office is one,
    and a role that is none of its office's is no role of the job.
    """
    named = list(scopes)
    office, role = office_and_role(named)
    if not is_name(office):
        return ""
    job = f"{office}/{role}"
    return job if is_name(role) and Scope("role", job) in named else office


def with_role(request: Request, role: Scope) -> Request:
    """The same request, of another role."""
    found = json.loads(request.text)
    scopes = [[kind, name] for kind, name in found["scopes"] if kind != role.kind]
    found["scopes"] = sorted([*scopes, list(role)], key=lambda scope: KINDS.index(scope[0]))
    return parse_request_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when jobs were submitted, in ms of Redis' clock.

    Raises InvalidSetting where it would end before it begins.
    """

    after: int = 0  #: or just then
    before: int = LATEST_MS

    def __post_init__(self) -> None:
        if not 0 <= self.after <= self.before <= LATEST_MS:
            said = f"it must be from 0 to submitted_before, {self.before}, got {shown(self.after)}"
            raise InvalidSetting(name="submitted_after", problem=said)

    @classmethod
    def of(cls, after: int | None, before: int | None) -> Self:
        """From one to the other; None is any time. Raises InvalidSetting."""
        return cls(after or 0, LATEST_MS if before is None else before)

    def at(self, submitted_at: int) -> bool:
        """Whether that is among them."""
        return self.after <= submitted_at < self.before


AT_ANY_TIME: Final = Period()


def revision_of(data: SessionData) -> str:
    """Of a job as it is shown: another wherever anything of that is."""
    shown = json.dumps(job_view(data), separators=(",", ":"))
    return hashlib.blake2s(shown.encode(), digest_size=12).hexdigest()


def job_view(data: SessionData) -> dict[str, Any]:
    """A job as it is shown over HTTP, in plain values."""
    return {
        "id": data.id,
        "office": data.office,
        "role": data.role,
        "name": data.name,
        "work": data.work,
        "state": str(data.state),
        "priority": data.priority,
        "group": data.group,
        "attempt": data.attempt,
        "retry_count": data.retry_count,
        "retries": data.request.retries,
        "timeout_ms": data.own_timeout_ms or data.request.timeout_ms,
        "agents": sorted({kernel.agent for kernel in data.kernels}),
        "reason": data.why,
        "unmet": data.unmet,
        "submitted_at": data.submitted_at,
        "not_before": data.not_before,
        "running_at": data.running_at,
        "ended_at": data.ended_at,
        "cancelled_at": data.cancelled_at,
        "cancel_requested": data.cancel_requested is not None,
    }


class ExecutionStatus(StrEnum):
    """How one try to run a job stands, or ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"  #: its agent died, was stopped or cut off, and the job went back into the queue


#: As a stop's reason says it, see `domain.states.STOP_STRENGTH`.
_WITHDRAWN: Final = "unplaced"
_WENT_ON: Final = (SessionState.RETRYING, SessionState.READY)
_BY_REASON: Final = {
    "failed": ExecutionStatus.FAILED,
    "timed_out": ExecutionStatus.TIMED_OUT,
    "lost": ExecutionStatus.LOST,
}
_BY_OUTCOME: Final = {
    "": ExecutionStatus.RUNNING,
    SessionState.SUCCEEDED: ExecutionStatus.SUCCEEDED,
    SessionState.FAILED: ExecutionStatus.FAILED,
    SessionState.TIMED_OUT: ExecutionStatus.TIMED_OUT,
    SessionState.CANCELLED: ExecutionStatus.CANCELLED,
    # Rows of layout 2 tell no reason.
    SessionState.RETRYING: ExecutionStatus.FAILED,
    SessionState.READY: ExecutionStatus.LOST,
}


@dataclass(frozen=True, slots=True)
class JobExecution:
    """One try to run a job. Times are ms of Redis' clock."""

    job: str
    attempt: int
    agents: tuple[str, ...]
    started_at: int
    timeout_at: (
        int | None
    )  #: when it is stopped at the latest; None where it was stopped before it began
    ended_at: int | None
    status: ExecutionStatus
    error: str


def executions_of(data: SessionData) -> list[JobExecution]:
    """The tries to run a job, oldest first; those that were withdrawn before all kernels began are none."""
    return [_execution(data.id, row) for row in data.history if row.reason != _WITHDRAWN]


def _execution(job: str, row: AttemptData) -> JobExecution:
    return JobExecution(
        job=job,
        attempt=row.attempt,
        agents=row.agents,
        started_at=row.started_at,
        timeout_at=row.deadline,
        ended_at=row.ended_at,
        status=_status(row),
        error=row.error,
    )


def _status(row: AttemptData) -> ExecutionStatus:
    """From how the attempt ended, where the job went on after it; from how the job ended else."""
    known = _BY_REASON if row.outcome in _WENT_ON else {}
    return known.get(row.reason) or _BY_OUTCOME.get(row.outcome, ExecutionStatus.FAILED)
