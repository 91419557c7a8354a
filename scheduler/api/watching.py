"""Events as one reader is told them: what it asked for, and of an office only what is that office's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scheduler.api.errors import EventsGone
from scheduler.bootstrap import Store
from scheduler.domain.events import Event, EventData
from scheduler.domain.job_events import SchedulerEvent
from scheduler.operations.following import EventGap, EventReader
from scheduler.operations.telling import told
from scheduler.store.events import check_event_id

#: Events read at once.
_PAGE: Final = 500
#: How far a reader may lag behind with its id while nothing is for it.
_LAG: Final = 1_000
#: Sessions whose office is remembered, as they are told many times.
_REMEMBERED: Final = 20_000


class Watch:
    """One reader of events.

    Raises EventsGone where events after ``since`` are no longer kept, InvalidSetting for what is no id.
    """

    def __init__(
        self, store: Store, since: str | None, patterns: tuple[str, ...], office: str
    ) -> None:
        self._store = store
        self._patterns = patterns
        self._office = office
        self._offices: dict[str, str] = {}
        last = store.events.last_id()
        if since is not None and _place(check_event_id(since)) > _place(last):
            raise EventsGone(since=since)
        self._reader = EventReader(store.events, since or last, _refuse)
        self._untold = 0
        #: What was there already, and with it whether there is a gap.
        self._first: list[EventData] | None = self._reader.read(_PAGE)

    @property
    def after(self) -> str:
        """Id of the last event that was looked at."""
        return self._reader.after

    @property
    def moved(self) -> bool:
        """Whether the reader's last id is far behind, though nothing since was for it."""
        return self._untold >= _LAG

    def told(self) -> str:
        """The id to go on from, which the reader is told now."""
        self._untold = 0
        return self.after

    def look(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(name, id, body) of what came; waits up to two seconds. Raises EventsGone, StoreUnavailable."""
        found, self._first = self._first or self._reader.wait(_PAGE), None
        mine = self._of_office(found)
        events = told(self._store.sessions, mine, self._patterns)
        self._untold = 0 if events else self._untold + len(found)
        return [_shown(event) for event in events]

    def _of_office(self, found: Sequence[EventData]) -> Sequence[EventData]:
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
        for data in self._store.sessions.many(sorted(unknown)):
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


def _shown(event: Event) -> tuple[str, str, dict[str, Any]]:
    data = event.data
    if isinstance(event, SchedulerEvent):
        name = str(event.event)
        return name, data.id, {**data.as_dict(), "name": name, "fields": event.as_fields()}
    return data.name, data.id, data.as_dict()


def _place(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


def _refuse(gap: EventGap) -> None:
    raise EventsGone(since=gap.facts["since"]) from gap
