"""The repository of positions: where a READY session stands, by what its leader told last."""

from __future__ import annotations

from typing import Any, cast

import redis

from scheduler.domain.position import TOLD, Position
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


class PositionRepository:
    """Positions in the queues of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def of(self, data: SessionData) -> Position | None:
        """Where a session stands; None when it is not READY. Two round trips, whatever waits."""
        queue = self._keys.state(data.group, SessionState.READY)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.zrank(queue, data.id)
            pipe.zcard(queue)
            pipe.get(self._keys.positions(data.group))
            pipe.hget(self._keys.session(data.id), "ready_at")
            rank, total, told, ready_at = pipe.execute()
        if rank is None:
            return None
        head, _, listed = (told or "").partition("\n")
        at, _, scheduler = head.partition(" ")
        ids, as_of = listed.split(), _number(at)
        if data.id in ids:
            ahead = self._still(queue, ids[: ids.index(data.id)])
            return Position(ahead + 1, total, scheduler, as_of)
        # Who came since then may be tried before all of them; and of an old list all are gone.
        was_there = (_number(ready_at) or data.submitted_at) < as_of
        behind = len(ids) >= TOLD and was_there and self._still(queue, ids[-1:])
        return Position(rank + 1, total, behind=len(ids) if behind else 0)

    def _still(self, queue: str, sessions: list[str]) -> int:
        """How many of them wait still: since it was told some were placed, or left."""
        if not sessions:
            return 0
        with speaking_to(self._client):
            scores = cast("Any", self._client).zmscore(queue, sessions)
        return sum(score is not None for score in scores)


def _number(text: str | None) -> int:
    """A time, 0 for none and for what makes no sense."""
    return int(text) if text and text.isdecimal() else 0
