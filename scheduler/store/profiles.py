"""Profiles of leaders on their way to whoever asked for one: small, packed, and gone after a while."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, cast

import redis

from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

#: Packed size; a minute of a busy leader takes a tenth of it.
MOST_BYTES = 4 * 2**20
LONGEST_S = 60.0
#: Nobody fetched it by then.
KEPT_S = 120
#: Below the client's own time-out.
_LISTEN_S = 3

_ASK = Script.load("leader/ask_profile")


class ProfileRepository:
    """Profiles of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def ask(self, group: str, holder: str, token: str, ms: int) -> str:
        """Ask for one: ``asked``, ``elsewhere`` (another replica leads), ``no_leader``, ``unknown_group``."""
        with speaking_to(self._client):
            return str(
                _ASK(
                    self._client,
                    self._keys.root,
                    group=group,
                    holder=holder,
                    token=token,
                    ms=str(ms),
                )[0]
            )

    def put(self, token: str, profile: dict[str, Any]) -> None:
        """Leave a profile for who asked; one that is too large is replaced by a sentence."""
        packed = zlib.compress(json.dumps(profile).encode())
        if len(packed) > MOST_BYTES:
            why = f"it has {len(packed)} bytes, more than {MOST_BYTES}; ask for fewer seconds"
            packed = zlib.compress(json.dumps({"error": why}).encode())
        key = self._keys.profile(token)
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(key, base64.b64encode(packed).decode())
            pipe.expire(key, KEPT_S)
            pipe.execute()

    def take(self, token: str) -> dict[str, Any] | None:
        """The profile, once it is there; None if it is not after some seconds."""
        with speaking_to(self._client):
            found = self._client.blpop([self._keys.profile(token)], timeout=_LISTEN_S)
        if found is None:
            return None
        text = cast("list[str]", found)[1]
        return cast("dict[str, Any]", json.loads(zlib.decompress(base64.b64decode(text))))
