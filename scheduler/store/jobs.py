"""The repository of jobs: the lists that scripts keep of an office's sessions, by state and by role."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, cast

import redis

from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


class JobRepository:
    """Jobs of one namespace. All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def newest(
        self, office: str, role: str, states: Sequence[SessionState], before: int | None, limit: int
    ) -> list[tuple[str, int]]:
        """(id, number) of jobs in these states, last submitted first, of numbers below ``before``.

        A role of "" is any. All lists are read in one step, ``limit`` of each at most, so that a job
        that moves is met once.
        """
        below = "+inf" if before is None else f"({before}"
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for state in states:
                key = self._key(office, role, state)
                pipe.zrevrangebyscore(key, below, "-inf", 0, limit, withscores=True)
            found = cast("list[list[tuple[str, float]]]", pipe.execute())
        merged = heapq.merge(*found, key=lambda entry: -entry[1])
        return [(job, int(number)) for job, number in list(merged)[:limit]]

    def counts(self, office: str, role: str = "") -> dict[SessionState, int]:
        """How many jobs of an office, or of one role of it, are in each state."""
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for state in SessionState:
                pipe.zcard(self._key(office, role, state))
            found: list[Any] = pipe.execute()
        return dict(zip(SessionState, found, strict=True))

    def _key(self, office: str, role: str, state: SessionState) -> str:
        if role:
            return self._keys.jobs_of_role(office, role, state)
        return self._keys.jobs(office, state)
