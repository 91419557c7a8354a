"""Events as they are told: by the name they were asked for, with what the session adds to its job's."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.domain.events import Event, EventData, typed
from scheduler.domain.job_events import JobFacts, as_job, job_facts, scheduler_event, selects
from scheduler.domain.session import SessionData
from scheduler.store.sessions import SessionRepository


def told(
    sessions: SessionRepository, events: Sequence[EventData], patterns: tuple[str, ...]
) -> list[Event]:
    """Of some events those that patterns ask for; two round trips where any is told as a job's.

    Raises StoreUnavailable.
    """
    wanted = [event for event in events if selects(patterns, event.name)]
    jobs = {e.fields.get("session", "") for e in wanted if as_job(patterns, e.name)}
    found: dict[str, SessionData] = (
        {str(data.id): data for data in sessions.many(sorted(jobs))} if jobs else {}
    )
    made: list[Event] = []
    for event in wanted:
        if not as_job(patterns, event.name):
            made.append(typed(event))
            continue
        data = found.get(event.fields.get("session", ""))
        attempt = int(event.fields.get("attempt", "") or 0)
        facts = job_facts(data, attempt) if data is not None else JobFacts()
        made.append(scheduler_event(event, facts))
    return made
