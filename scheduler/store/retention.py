"""The repository of what is over: sessions that ended are forgotten, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import redis

from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_FORGET = Script.load("session/forget")


class RetentionRepository:
    """Ended sessions of one namespace. All methods raise StoreUnavailable.

    Nothing here is fenced: whoever does it, and however often, the same is gone afterwards.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def now_ms(self) -> int:
        """Redis' time."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def ended_before(
        self, group: str, state: SessionState, before_ms: int, page: tuple[int, int]
    ) -> list[str]:
        """Sessions that ended before a moment, oldest first; page: (how many to step over, how many)."""
        key = self._keys.state(group, state)
        with speaking_to(self._client):
            return cast("list[str]", self._client.zrangebyscore(key, "-inf", before_ms, *page))

    def forget(
        self, group: str, state: SessionState, before_ms: int, page: tuple[int, int] = (0, 100)
    ) -> list[str]:
        """Forget such a page; the ids of those that are gone. Those others wait for are kept."""
        with speaking_to(self._client):
            return _FORGET(
                self._client,
                self._keys.root,
                group=group,
                state=str(state),
                before=before_ms,
                skip=page[0],
                limit=page[1],
            )[1:]

    def delete_logs(self, sessions: Sequence[SessionData]) -> None:
        """Delete the logs of every attempt that is on record."""
        keys = [
            self._keys.log(agent, f"{data.id}-{index}-{attempt.placement}")
            for data in sessions
            for attempt in data.history
            for agent in attempt.agents
            for index in range(len(data.request.kernels))
        ]
        if keys:
            with speaking_to(self._client):
                self._client.delete(*keys)
