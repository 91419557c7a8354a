"""The repository of API keys: what each may do, and the digest of its secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.errors import KeyNotFound, OfficeNotFound, ScriptError
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_CREATE = Script.load("key/create")
_REVOKE = Script.load("key/revoke")
_TOUCH = Script.load("key/touch")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what its secret is compared to."""

    key: ApiKey
    digest: str  #: SHA-256 of the secret, hex
    expired: bool  #: by Redis' clock


class ApiKeyRepository:
    """API keys of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def create(self, key: ApiKey, digest: str, lasts_ms: int = 0) -> None:
        """Keep a new key under its random id, good for so many ms, 0 for ever. Raises OfficeNotFound, RedisFull."""
        with speaking_to(self._client):
            word = _CREATE(
                self._client,
                self._keys.root,
                key=key.id,
                role=str(key.role),
                office=key.office,
                label=key.name,
                digest=digest,
                lasts=lasts_ms,
            )[0]
        if word == "unknown_office":
            raise OfficeNotFound(office=key.office)
        if word == "exists":
            raise ScriptError(script="key/create", problem=f"id {key.id} is taken")

    def revoke(self, key: str) -> str:
        """Take a key back; ``revoked`` or ``already``. Raises KeyNotFound."""
        with speaking_to(self._client):
            word = str(_REVOKE(self._client, self._keys.root, key=key)[0])
        if word == "gone":
            raise KeyNotFound(key=key)
        return word

    def touch(self, key: str) -> str:
        """Note that a key was used, to the minute; ``touched``, ``already`` or ``gone``."""
        with speaking_to(self._client):
            return str(_TOUCH(self._client, self._keys.root, key=key)[0])

    def read(self, key: str) -> StoredKey | None:
        """One key, or None where there is none."""
        found = self._many([key])
        return found[0] if found else None

    def all(self) -> list[ApiKey]:
        """All keys, revoked ones too, the newest last."""
        with speaking_to(self._client):
            names = cast("set[str]", self._client.smembers(self._keys.api_keys()))
        return sorted(
            (stored.key for stored in self._many(sorted(names))), key=lambda key: key.created_at
        )

    def _many(self, ids: Iterable[str]) -> list[StoredKey]:
        wanted = list(ids)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.hgetall(self._keys.api_key(key))
            cast("Any", pipe).time()
            *rows, (seconds, micros) = pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        return [_read(key, row, now_ms) for key, row in zip(wanted, rows, strict=True) if row]


def _read(key: str, row: Mapping[str, str], now_ms: int) -> StoredKey:
    used, revoked, expires = (
        row.get(name) for name in ("last_used_at", "revoked_at", "expires_at")
    )
    return StoredKey(
        ApiKey(
            id=key,
            role=Role(row["role"]),
            office=row["office"],
            name=row["name"],
            created_at=int(row["created_at"]),
            last_used_at=int(used) if used else None,
            revoked_at=int(revoked) if revoked else None,
            expires_at=int(expires) if expires else None,
        ),
        row["digest"],
        expired=bool(expires) and int(expires or 0) <= now_ms,
    )
