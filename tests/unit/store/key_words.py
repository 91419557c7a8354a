"""The words of the scripts of API keys, as `words` has those of all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scheduler.domain.api_key import ApiKey, Role
from tests.unit.store.lives import World


def _key(world: World, digest: str = "d") -> str:
    world.api_keys.create(ApiKey("k1", Role.VIEWER), digest)
    return "k1"


KEYS: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("key/create", "created"): _key,
    ("key/create", "exists"): lambda w: (_key(w), _key(w, "other")),
    ("key/create", "unknown_office"): lambda w: w.api_keys.create(
        ApiKey("k1", Role.VIEWER, "nowhere"), "d"
    ),
    ("key/revoke", "revoked"): lambda w: w.api_keys.revoke(_key(w)),
    ("key/revoke", "already"): lambda w: (w.api_keys.revoke(_key(w)), w.api_keys.revoke("k1")),
    ("key/revoke", "gone"): lambda w: w.api_keys.revoke("k1"),
    ("key/touch", "touched"): lambda w: w.api_keys.touch(_key(w)),
    ("key/touch", "already"): lambda w: (w.api_keys.touch(_key(w)), w.api_keys.touch("k1")),
    ("key/touch", "gone"): lambda w: w.api_keys.touch("k1"),
}

KEYS_REPEATED: Mapping[tuple[str, str], str] = {
    ("key/revoke", "revoked"): "already",
    ("key/touch", "touched"): "already",
}
