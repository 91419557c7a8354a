"""API keys: made, listed, taken back, and recognised until they expire.

A key is ``sk_<id>_<secret>``. The secret has 256 random bits, so one SHA-256 of it is enough to
store: nobody can guess what it was made from, and a slow hash would only slow every request down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

from scheduler.domain.api_key import ApiKey, Role, check_key_name
from scheduler.domain.errors import InvalidSetting, KeyNotFound, KeyRefused
from scheduler.domain.ids import shown
from scheduler.domain.office import check_office_name
from scheduler.domain.spelling import meant
from scheduler.store.api_keys import ApiKeyRepository, StoredKey

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 6
_TEXT: Final = re.compile(r"sk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_LONGEST_MS: Final = 100 * 365 * 86_400_000
_UNKNOWN: Final = "the API key is not known here"


class ApiKeys:
    """The API keys of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, stored: ApiKeyRepository) -> None:
        self._stored = stored

    def create(
        self, role: str, *, office: str = "", name: str = "", lasts_ms: int = 0
    ) -> tuple[str, ApiKey]:
        """Make a key: its text, which nobody can read again, and what is known of it.

        ``office`` is the only one it may speak of; "" is all. It is good for ``lasts_ms`` by Redis'
        clock, 0 is for ever. Raises InvalidSetting, OfficeNotFound, RedisFull.
        """
        if role not in list(Role):
            raise InvalidSetting(
                name="role", problem=f"{shown(role)} is none; {meant(role, map(str, Role))}"
            )
        if office:
            check_office_name(office)
        if not 0 <= lasts_ms <= _LONGEST_MS:
            raise InvalidSetting(
                name="expires", problem=f"it is in 100 years at most, got {shown(lasts_ms)} ms"
            )
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(secrets.token_hex(_ID_BYTES), Role(role), office, check_key_name(name))
        self._stored.create(key, _digest(secret), lasts_ms)
        return f"sk_{key.id}_{secret}", self.get(key.id)

    def get(self, key: str) -> ApiKey:
        """One key by its id. Raises KeyNotFound."""
        found = self._stored.read(key)
        if found is None:
            raise KeyNotFound(key=shown(key))
        return found.key

    def all(self) -> list[ApiKey]:
        """All keys, revoked ones too, the newest last."""
        return self._stored.all()

    def revoke(self, key: str) -> str:
        """Take a key back, by its id; ``revoked`` or ``already``. Raises KeyNotFound."""
        self.get(key)
        return self._stored.revoke(key)

    def recognise(self, text: str) -> ApiKey:
        """The key that a request shows. Raises KeyRefused."""
        parts = _TEXT.fullmatch(text)
        if parts is None:
            raise KeyRefused(why="what it shows is no API key; one looks like sk_ID_SECRET")
        stored = self._stored.read(parts[1])
        digest = _digest(parts[2])
        if stored is None or not hmac.compare_digest(stored.digest, digest):
            raise KeyRefused(why=_UNKNOWN)
        _refuse_ended(stored)
        return stored.key

    def check(self, key: ApiKey) -> None:
        """Look whether a key that was recognised is good still. Raises KeyRefused."""
        stored = self._stored.read(key.id)
        if stored is None:
            raise KeyRefused(why=_UNKNOWN)
        _refuse_ended(stored)

    def used(self, key: ApiKey) -> None:
        """Note that a key was used, to the minute."""
        self._stored.touch(key.id)


def _refuse_ended(stored: StoredKey) -> None:
    if stored.key.revoked_at is not None:
        raise KeyRefused(why=f"API key {stored.key.id} was revoked")
    if stored.expired:
        raise KeyRefused(why=f"API key {stored.key.id} has expired; ask for a new one")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
