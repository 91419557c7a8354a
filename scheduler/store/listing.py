"""The indexes of states, read on from a place in them: what lists walk over that are read page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis

from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of an index: what comes after it is found when it has left, too."""

    session: str
    score: int


class ListingRepository:
    """Reads for lists of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def after(
        self, group: str, state: SessionState, place: Place | None, limit: int
    ) -> list[Place]:
        """Some of a group's sessions in a state, those behind a place: READY as queued, others newest first."""
        key, queued = self._keys.state(group, state), state is SessionState.READY
        start = 0 if place is None else self._past(key, place, queued=queued)
        with speaking_to(self._client):
            found = self._client.zrange(
                key, start, start + limit - 1, desc=not queued, withscores=True
            )
        return [Place(s, int(score)) for s, score in cast("list[tuple[str, float]]", found)]

    def _past(self, key: str, place: Place, *, queued: bool) -> int:
        """How many entries are before a place or at it; those of one score are in the order of their ids."""
        score = place.score
        ahead = ("-inf", f"({score}") if queued else (f"({score}", "+inf")
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.zcount(key, *ahead)
            pipe.zrangebyscore(key, score, score)
            before, ties = pipe.execute()
        passed = [s for s in ties if (s <= place.session if queued else s >= place.session)]
        return int(before) + len(passed)
