"""Events of jobs by the names of seed 002: a typed view of the session's own, which carry everything.

A job is a session, so each `session.*` event has a second name, as `job_failed`; subscribers and
`Client.events()` take either. What is asked for by its second name arrives as a `SchedulerEvent`,
which also tells whose job it is and what went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from scheduler.domain.events import EventData, SessionEvent
from scheduler.domain.office import office_and_role
from scheduler.domain.session import SessionData, headline

#: Characters of an error that an event tells.
_LONGEST_ERROR = 500


class JobEvent(StrEnum):
    """What happens to a job."""

    PENDING = "job_pending"  #: submitted or asked to run again; waits for dependencies or a time
    HELD = "job_held"  #: a parent ended badly; it waits for an operator
    QUEUED = "job_queued"  #: in its group's queue
    SCHEDULED = "job_scheduled"  #: bound to agents
    PREPARING = "job_preparing"  #: an agent took it; the attempt counts from here
    STARTED = "job_started"
    STOPPING = "job_stopping"
    RETRYING = "job_retrying"  #: an attempt failed, another follows after a back-off
    COMPLETED = "job_completed"
    FAILED = "job_failed"  #: for good: no retries are left
    TIMEOUT = "job_timeout"  #: stopped at its deadline, for good
    CANCELLED = "job_cancelled"
    CANCEL_REQUESTED = "job_cancel_requested"
    TIMEOUT_SET = "job_timeout_set"  #: it has longer to run now, or less


#: Name of a session's event -> that of its job.
JOB_EVENTS: Mapping[str, JobEvent] = MappingProxyType(
    {
        "session.pending": JobEvent.PENDING,
        "session.held": JobEvent.HELD,
        "session.ready": JobEvent.QUEUED,
        "session.scheduled": JobEvent.SCHEDULED,
        "session.preparing": JobEvent.PREPARING,
        "session.running": JobEvent.STARTED,
        "session.terminating": JobEvent.STOPPING,
        "session.retrying": JobEvent.RETRYING,
        "session.succeeded": JobEvent.COMPLETED,
        "session.failed": JobEvent.FAILED,
        "session.timed_out": JobEvent.TIMEOUT,
        "session.cancelled": JobEvent.CANCELLED,
        "session.cancel_requested": JobEvent.CANCEL_REQUESTED,
        "session.timeout_set": JobEvent.TIMEOUT_SET,
    }
)
#: What says that a job ended badly, for good.
PERMANENT_FAILURES = (str(JobEvent.FAILED), str(JobEvent.TIMEOUT))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What an event does not carry itself: read from the session when it is told."""

    office: str = ""  #: "" where it is nobody's job
    role: str = ""
    title: str = ""  #: its name, or else what it runs
    priority: int | None = None
    error: str = ""  #: of the event's attempt, in one line


@dataclass(frozen=True, kw_only=True)
class SchedulerEvent(SessionEvent):
    """What happened to a job. The facts are empty where its session is forgotten already."""

    event: JobEvent
    job: JobFacts

    def as_fields(self) -> dict[str, Any]:
        """The event as programs outside see it."""
        told = {name: value for name, value in asdict(self.job).items() if value not in ("", None)}
        return {**self.data.fields, **told}


def scheduler_event(data: EventData, facts: JobFacts) -> SchedulerEvent:
    """The event of a job, from that of its session."""
    told = SessionEvent.read(data)
    return SchedulerEvent(
        data=data,
        at_ms=told.at_ms,
        session=told.session,
        group=told.group,
        previous=told.previous,
        verb=told.verb,
        attempt=told.attempt,
        placement=told.placement,
        agents=told.agents,
        reason=told.reason,
        event=JOB_EVENTS[data.name],
        job=facts,
    )


def job_facts(session: SessionData, attempt: int) -> JobFacts:
    """What a session tells of the job it is."""
    office, role = office_and_role(session.request.scopes)
    rows = [row for row in session.history if row.attempt == attempt]
    error = (rows[-1].error if rows else "") or session.error
    return JobFacts(
        office=office,
        role=role,
        title=session.name or session.work,
        priority=session.priority,
        error=headline(error)[:_LONGEST_ERROR],
    )


@lru_cache(maxsize=4096)
def selects(patterns: tuple[str, ...], event: str) -> bool:
    """Whether patterns ask for events of this name, or of the job's name for it."""
    return _any(patterns, event) or as_job(patterns, event)


@lru_cache(maxsize=4096)
def as_job(patterns: tuple[str, ...], event: str) -> bool:
    """Whether only the name it has as a job's is asked for."""
    job = JOB_EVENTS.get(event)
    return job is not None and not _any(patterns, event) and _any(patterns, job)


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
