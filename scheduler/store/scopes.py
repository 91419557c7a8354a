"""The repository of scopes: who holds them, and what they allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import redis

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_SET = Script.load("scope/set")


class ScopeRepository:
    """Scopes of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def limit(self, scope: Scope, limits: ScopeLimits) -> None:
        """Change a scope's limits. Raises InvalidSetting for one below zero."""
        if limits.max_sessions is not None and limits.max_sessions < 0:
            raise InvalidSetting(
                name="max_sessions", problem=f"a limit is 0 or more, got {limits.max_sessions}"
            )
        with speaking_to(self._client):
            _SET(
                self._client,
                self._keys.root,
                kind=scope.kind,
                name=scope.name,
                max_sessions="" if limits.max_sessions is None else str(limits.max_sessions),
            )

    def read(self, scopes: Iterable[Scope]) -> dict[Scope, tuple[ScopeLimits, int]]:
        """Limits of the given scopes and how many sessions hold each."""
        wanted = list(scopes)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for scope in wanted:
                pipe.hget(self._keys.scope_limits(*scope), "max_sessions")
                pipe.scard(self._keys.scope_members(*scope))
            found = pipe.execute()
        return {
            scope: (ScopeLimits(int(limit) if limit else None), held)
            for scope, limit, held in zip(wanted, found[::2], found[1::2], strict=True)
        }

    def members(self, scope: Scope) -> set[str]:
        """Sessions that hold the scope."""
        with speaking_to(self._client):
            return cast("set[str]", self._client.smembers(self._keys.scope_members(*scope)))

    def known(self) -> list[Scope]:
        """Every scope that was given limits, and the global one."""
        with speaking_to(self._client):
            stored = cast("set[str]", self._client.smembers(self._keys.scopes()))
        found = {Scope(*text.split(" ", 1)) for text in stored} | {GLOBAL}
        return sorted(found)
