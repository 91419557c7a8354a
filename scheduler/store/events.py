"""The stream of what happened: (epoch, seq) without gaps, trimmed by count, resumable."""

from __future__ import annotations

import re

import redis

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.events import EventData
from scheduler.domain.ids import shown
from scheduler.store import streams
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

BEGINNING = "0-0"
_EVENT_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


class EventRepository:
    """Events of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def last_id(self) -> str:
        """The id of the newest event, to follow from now on."""
        with speaking_to(self._client):
            return streams.last_id(self._client, self._keys.events())

    def oldest_id(self) -> str:
        """The id of the oldest event still kept."""
        with speaking_to(self._client):
            found = self._client.xrange(self._keys.events(), count=1)
        return streams.entries(found)[0].id if found else BEGINNING

    def since(self, event_id: str, *, limit: int = 1000) -> list[EventData]:
        """Events after the given one, oldest first."""
        with speaking_to(self._client):
            found = self._client.xrange(
                self._keys.events(), min=f"({check_event_id(event_id)}", count=limit
            )
        return [_event(entry) for entry in streams.entries(found)]

    def newest(self, limit: int, before: str = "") -> list[EventData]:
        """The newest events, or those before one with this id; oldest first."""
        last = f"({check_event_id(before)}" if before else "+"
        with speaking_to(self._client):
            found = self._client.xrevrange(self._keys.events(), max=last, count=limit)
        return [_event(entry) for entry in reversed(streams.entries(found))]

    def wait(self, event_id: str, *, timeout: float, limit: int = 1000) -> list[EventData]:
        """Events after the given one; where there are none, waits up to ``timeout`` s (at most 4) for some."""
        with speaking_to(self._client):
            found = streams.read(
                self._client,
                {self._keys.events(): check_event_id(event_id)},
                timeout=timeout,
                limit=limit,
            )
        return [_event(entry) for entry in found.get(self._keys.events(), ())]

    def gap_after(self, event_id: str) -> bool:
        """Whether events after the given one were already trimmed away."""
        if event_id == BEGINNING:
            return False
        epoch, seq = map(int, check_event_id(event_id).split("-"))
        oldest_epoch, oldest_seq = map(int, self.oldest_id().split("-"))
        return (oldest_epoch, oldest_seq) > (epoch, seq + 1) and oldest_epoch != 0


def check_event_id(event_id: str) -> str:
    """The id, if it is one. Raises InvalidSetting."""
    # 18 digits: Redis would refuse what does not fit into 64 bits.
    if not _EVENT_ID.fullmatch(event_id):
        raise InvalidSetting(
            name="event id", problem=f"{shown(event_id)} is not of the form EPOCH-SEQ"
        )
    return event_id


def _event(entry: streams.Entry) -> EventData:
    epoch, seq = map(int, entry.id.split("-"))
    fields = dict(entry.fields)
    return EventData(epoch, seq, fields.pop("event"), fields)
