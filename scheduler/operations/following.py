"""Following what happens: events without a gap, and the output of a session to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from scheduler.domain.errors import LogsNotFound, Refused
from scheduler.domain.events import EventData
from scheduler.domain.session import SessionData
from scheduler.store.events import BEGINNING, EventRepository
from scheduler.store.logs import LogLine, LogRepository
from scheduler.store.sessions import SessionRepository

#: Seconds one look at the events waits for something new.
LOOK_S = 2.0
#: The same for a log; short, for what waits there does not hear that the session has ended.
LOG_LOOK_S = 0.2


class EventGap(Refused):
    """Events after {since} are no longer kept, the oldest is {oldest}; use --from-oldest."""


class EventsRewound(EventGap):
    """Redis lost events in a failover: some up to {since} are not on record any more; use --from-oldest."""


class EventReader:
    """Reads events in order; what was trimmed away is told, never skipped in silence."""

    def __init__(
        self, events: EventRepository, since: str, on_gap: Callable[[EventGap], None]
    ) -> None:
        """Begin after an event; ``on_gap`` raises what it is given, or accepts the loss."""
        self._events = events
        self._on_gap = on_gap
        self.after = since

    def read(self, limit: int) -> list[EventData]:
        """Events that are there. Raises InvalidSetting for an id that is none."""
        self._look_for_gap()
        return self._checked(lambda: self._events.since(self.after, limit=limit))

    def wait(self, limit: int = 1000) -> list[EventData]:
        """The next events; [] after some seconds without any."""
        return self._checked(lambda: self._events.wait(self.after, timeout=LOOK_S, limit=limit))

    def _look_for_gap(self) -> None:
        if self._events.gap_after(self.after):
            self._on_gap(EventGap(since=self.after, oldest=self._events.oldest_id()))
            self.after = BEGINNING

    def _checked(self, read: Callable[[], list[EventData]]) -> list[EventData]:
        found = read()
        if found and not _follows(self.after, found[0]):
            # Trimmed between two looks, or a new epoch began.
            self._look_for_gap()
        if any(_rewinds(self.after, event) for event in found):
            self._on_gap(EventsRewound(since=self.after))
        if found:
            self.after = found[-1].id
        return found


def _rewinds(event_id: str, event: EventData) -> bool:
    """Whether an epoch begins on a Redis whose events ended before those that were read."""
    if event.name != "epoch.began":
        return False
    epoch, seq = map(int, event_id.split("-"))
    return tuple(map(int, event.fields["after"].split("-"))) < (epoch, seq)


def _follows(event_id: str, event: EventData) -> bool:
    if event_id == BEGINNING:
        return True
    epoch, seq = map(int, event_id.split("-"))
    return (event.epoch, event.seq) == (epoch, seq + 1)


class Store(Protocol):
    """The repositories that are followed."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def logs(self) -> LogRepository: ...


class LogFollower:
    """Output of one kernel as it comes, over all further attempts, until the session has ended.

    Raises SessionNotFound; LogsNotFound, in ``look``, for a kernel the session does not have, and where
    it ended without any output.
    """

    def __init__(self, store: Store, session: str, kernel: int = 0) -> None:
        self._store = store
        self._kernel = kernel
        self._data = store.sessions.get(session)
        self._attempt, self._after = _attempt(self._data), BEGINNING
        self.over = False  #: whether nothing more can come

    def look(self) -> list[LogLine]:
        """What has come since the last look; waits a fifth of a second for it."""
        # Asked before reading: what an ended session printed is all there by then.
        data, ended = self._data, self._data.ended
        try:
            lines = self._store.logs.follow(
                data, self._after, timeout=0 if ended else LOG_LOOK_S, kernel=self._kernel
            )
        except LogsNotFound:
            if ended or not 0 <= self._kernel < len(data.request.kernels):
                raise
            lines = []
            self._store.sessions.wait(data.id, LOG_LOOK_S)
        self._after = lines[-1].id if lines else self._after
        self.over = ended and not lines
        if not self.over:
            self._data = self._store.sessions.get(data.id)
            if self._attempt != (attempt := _attempt(self._data)):
                self._attempt, self._after = attempt, BEGINNING
        return lines


def follow_log(store: Store, session: str, kernel: int = 0) -> Iterator[LogLine]:
    """The same, one after the other."""
    follower = LogFollower(store, session, kernel)
    while not follower.over:
        yield from follower.look()


def _attempt(data: SessionData) -> str:
    return data.placement or (data.history[-1].placement if data.history else "")
