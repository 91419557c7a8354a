"""The repository of chores: when each ran last, by whom, and how it ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis

from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_NOTE = Script.load("chore/note")


@dataclass(frozen=True, slots=True)
class ChoreRun:
    """How a chore went last."""

    chore: str
    at_ms: int  #: Redis' clock, when it began
    took_ms: int
    by: str  #: the replica
    says: str
    well: bool

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


class ChoreRepository:
    """Runs of chores in one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def note(self, group: str, run: ChoreRun) -> str:
        """Note how a chore of a group went; ``noted``, or ``older`` where a later run is noted."""
        text = json.dumps(run.as_json(), separators=(",", ":"))
        with speaking_to(self._client):
            arguments = {"chore": run.chore, "at": run.at_ms, "text": text}
            return str(_NOTE(self._client, self._keys.root, group=group, **arguments)[0])

    def last(self, group: str) -> list[ChoreRun]:
        """The last run of every chore of a group, by name; those that make no sense left out."""
        with speaking_to(self._client):
            found = cast("dict[str, str]", self._client.hgetall(self._keys.chores_ran(group)))
        return [run for _, text in sorted(found.items()) if (run := _read(text)) is not None]


def _read(text: str) -> ChoreRun | None:
    try:
        return ChoreRun(**json.loads(text))
    except (ValueError, TypeError):
        return None
