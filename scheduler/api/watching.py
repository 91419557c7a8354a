"""Events as one reader is told them: what it asked for, and of an office only what is that office's."""

from __future__ import annotations

from typing import Any, Final

from scheduler.api.errors import EventsGone
from scheduler.bootstrap import Store
from scheduler.domain.events import EventData
from scheduler.operations.following import EventGap, EventReader
from scheduler.operations.telling import OfOffice, shown, told
from scheduler.store.events import check_event_id

#: Events read at once.
_PAGE: Final = 500
#: How far a reader may lag behind with its id while nothing is for it.
_LAG: Final = 1_000


class Watch:
    """One reader of events.

    Raises EventsGone where events after ``since`` are no longer kept, InvalidSetting for what is no id.
    """

    def __init__(
        self, store: Store, since: str | None, patterns: tuple[str, ...], office: str
    ) -> None:
        self._store = store
        self._patterns = patterns
        self._own = OfOffice(store.sessions, office)
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
        mine = self._own.keep(found)
        events = told(self._store.sessions, mine, self._patterns)
        self._untold = 0 if events else self._untold + len(found)
        return [shown(event) for event in events]


def _place(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


def _refuse(gap: EventGap) -> None:
    raise EventsGone(since=gap.facts["since"]) from gap
