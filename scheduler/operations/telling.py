"""Events as they are told: by the name they were asked for, with what the session adds to its job's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scheduler.domain.events import Event, EventData, typed
from scheduler.domain.job_events import (
    JobFacts,
    SchedulerEvent,
    as_job,
    job_facts,
    scheduler_event,
    selects,
)
from scheduler.domain.session import SessionData
from scheduler.store.sessions import SessionRepository

#: Sessions whose office is remembered, as they are told many times.
_REMEMBERED: Final = 20_000


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


def shown(event: Event) -> tuple[str, str, dict[str, Any]]:
    """Name, id and body of an event, under the name it was asked for."""
    data = event.data
    if isinstance(event, SchedulerEvent):
        name = str(event.event)
        return name, data.id, {**data.as_dict(), "name": name, "fields": event.as_fields()}
    return data.name, data.id, data.as_dict()


class OfOffice:
    """Of events those of one office; "" is all."""

    def __init__(self, sessions: SessionRepository, office: str) -> None:
        self._sessions = sessions
        self._office = office
        self._offices: dict[str, str] = {}

    def keep(self, found: Sequence[EventData]) -> Sequence[EventData]:
        """Those that are its own. Raises StoreUnavailable."""
        if not self._office:
            return found
        unknown = {
            session
            for event in found
            if (session := event.fields.get("session", "")) and session not in self._offices
        }
        if len(self._offices) > _REMEMBERED:
            self._offices.clear()
            unknown = {event.fields.get("session", "") for event in found} - {""}
        for data in self._sessions.many(sorted(unknown)):
            self._offices[data.id] = data.office
        return [event for event in found if self._office_of(event.fields) == self._office]

    def _office_of(self, fields: Mapping[str, str]) -> str:
        """Whose an event is; "" of nobody's, and of a session that is forgotten already."""
        if session := fields.get("session"):
            return self._offices.get(session, "")
        kind, _, name = fields.get("scope", "").partition(" ")
        if kind in ("office", "role"):
            return name.partition("/")[0]
        return fields.get("office", "")
