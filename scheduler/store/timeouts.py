"""The repository of timeouts that were set after their sessions were submitted."""

from __future__ import annotations

from typing import Final

import redis

from scheduler.domain.errors import WrongState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script
from scheduler.store.sessions import refuse_changed

_SET: Final = Script.load("session/set_timeout")


class TimeoutRepository:
    """Timeouts of sessions of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def set(self, session: str, timeout_ms: int | None, *, seen: str = "") -> str:
        """Let a session's attempts run for so long, or as it asked for (None); ``set`` or ``already``.

        The leader moves the deadline of one that runs. Raises SessionNotFound, WrongState, with
        ``seen`` of `SessionRepository.look` SessionRevisionConflict.
        """
        text = "" if timeout_ms is None else str(timeout_ms)
        with speaking_to(self._client):
            word, *rest = _SET(
                self._client, self._keys.root, session=session, timeout=text, seen=seen
            )
        refuse_changed(session, word)
        if word == "ended":
            allowed = "what has not ended"
            raise WrongState(session=session, state=rest[0], verb="timeout", allowed=allowed)
        return str(word)

    def looked_at(self, group: str, session: str) -> int | None:
        """When the leader looks at a session because it is time (ms of Redis' clock); None for never."""
        with speaking_to(self._client):
            at = self._client.zscore(self._keys.timers(group), session)
        return None if at is None else int(at)
