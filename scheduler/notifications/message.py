"""An event in words for people: what happened, why, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from scheduler.domain.events import Event, SessionEvent
from scheduler.domain.job_events import JobEvent, SchedulerEvent
from scheduler.domain.throttle import DigestEvent

#: From this priority on a message says that it is urgent.
URGENT_FROM: Final = 90
_LONGEST_TITLE: Final = 120


class Tone(Enum):
    """How good the news is."""

    GOOD = "good"
    PLAIN = "plain"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Message:
    """A title in one line, a body of some."""

    title: str
    body: str
    tone: Tone


_SAYS: Final = {
    JobEvent.PENDING: "waits for its dependencies or its time",
    JobEvent.HELD: "is held: a job it depends on ended badly",
    JobEvent.QUEUED: "is queued",
    JobEvent.SCHEDULED: "was placed",
    JobEvent.PREPARING: "is being prepared",
    JobEvent.STARTED: "started",
    JobEvent.STOPPING: "is being stopped",
    JobEvent.RETRYING: "failed and is tried again",
    JobEvent.COMPLETED: "completed",
    JobEvent.FAILED: "failed",
    JobEvent.TIMEOUT: "ran into its timeout",
    JobEvent.CANCELLED: "was cancelled",
    JobEvent.CANCEL_REQUESTED: "is asked to be cancelled",
}
_TONES: Final = {
    JobEvent.COMPLETED: Tone.GOOD,
    JobEvent.RETRYING: Tone.WARNING,
    JobEvent.TIMEOUT: Tone.BAD,
    JobEvent.FAILED: Tone.BAD,
}


def message_of(event: Event) -> Message:
    """The event in words. Plain text: what a job printed is never markup."""
    match event:
        case SchedulerEvent():
            return _of_job(event)
        case DigestEvent():
            return _of_digest(event)
        case _:
            return _of_any(event)


def _of_job(event: SchedulerEvent) -> Message:
    job = event.job
    called = job.title or event.session
    whose = f"{job.office}/{job.role}" if job.role else job.office
    urgent = "URGENT: " if (job.priority or 0) >= URGENT_FROM else ""
    title = f"{urgent}{f'{whose}: ' if whose else ''}{called} {_SAYS[event.event]}"
    facts = {
        "Job": f"{called} ({event.session})" if job.title else event.session,
        "Office": job.office,
        "Role": job.role,
        "Why": event.reason,
        "Error": job.error,
        "Attempt": str(event.attempt or ""),
        "Agents": " ".join(event.agents),
        "Priority": "" if job.priority is None else str(job.priority),
        "At": _moment(event.at_ms),
        "Look": f"scheduler session explain {event.session}",
    }
    return Message(_title(title), _body(facts), _TONES.get(event.event, Tone.PLAIN))


def _of_digest(event: DigestEvent) -> Message:
    minutes = event.window_ms / 60_000
    bad = any("fail" in name or "time" in name for name in event.held)
    what = "failures" if bad else "events"
    title = f"{event.count} more {what} in {minutes:g} min, told together"
    return Message(_title(title), event.told, Tone.BAD if bad else Tone.PLAIN)


def _of_any(event: Event) -> Message:
    """An event that was asked for by its own name."""
    data = event.data
    look = f"scheduler session explain {event.session}" if isinstance(event, SessionEvent) else ""
    subject = next(
        (data.fields[kind] for kind in ("session", "agent", "group") if data.fields.get(kind)), ""
    )
    says = type(event).says
    told = {name: text for name, text in data.fields.items() if text and name != "at"}
    facts = {**told, "at": _moment(event.at_ms), "look": look}
    bad = data.name in ("session.failed", "session.timed_out", "agent.lost", "subscriber.parked")
    title = f"{data.name} {subject}: {says}" if says else f"{data.name} {subject}"
    return Message(_title(title), _body(facts), Tone.BAD if bad else Tone.PLAIN)


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 3]}..."


def _body(facts: dict[str, str]) -> str:
    return "\n".join(f"{name}: {' '.join(text.split())}" for name, text in facts.items() if text)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if ms else ""
