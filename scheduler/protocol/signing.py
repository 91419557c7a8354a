"""MACs of orders and reports: a key per agent, derived from the cluster's secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scheduler.domain.errors import BadMessage, InvalidSetting

MAC_LENGTH = 64
SHORTEST_SECRET = 16
#: Of SHA-256, bytes; and what HMAC makes of each byte of a key.
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


@lru_cache(maxsize=16_384)
def agent_key(secret: str, namespace: str, agent: str) -> str:
    """The agent's own key, as hex, from the cluster's secret; the agent needs no other. Raises InvalidSetting."""
    return _derived(secret, "scheduler agent key", namespace, agent)


def subscriber_key(secret: str, namespace: str, subscriber: str) -> str:
    """The key that signs what a subscriber outside is told, as hex. Raises InvalidSetting."""
    return _derived(secret, "scheduler subscriber key", namespace, subscriber)


def callback_key(secret: str, namespace: str, lane: str) -> str:
    """The key that signs what is posted to one host's callbacks, as hex. Raises InvalidSetting."""
    return _derived(secret, "scheduler callback key", namespace, lane)


def _derived(secret: str, *purpose: str) -> str:
    if len(secret) < SHORTEST_SECRET:
        raise InvalidSetting(
            name="secret",
            problem=f"the cluster's secret needs at least {SHORTEST_SECRET} characters",
        )
    info = "\0".join(purpose).encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode()).hex()


def sign(key: str, message: bytes) -> str:
    """The MAC of a message, 64 hex digits."""
    # The two hashes of RFC 2104, begun once for each key. To copy a keyed HMAC costs half as much again,
    # hmac.digest() five times as much: OpenSSL looks the algorithm up each time.
    inner, outer = _keyed(key)
    inside, around = inner.copy(), outer.copy()
    inside.update(message)
    around.update(inside.digest())
    return around.hexdigest()


def verify(key: str, message: bytes, mac: str) -> None:
    """Raise BadMessage unless the MAC is the message's."""
    if not hmac.compare_digest(sign(key, message).encode(), mac.encode("utf-8", "replace")):
        raise BadMessage(why="its signature is wrong")


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object. Raises BadMessage: who signs may still write nonsense."""
    try:
        found = _loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage(why="it is no JSON, or nested too deeply") from error
    if not isinstance(found, dict):
        raise BadMessage(why="it is no JSON object")
    return found


def write_object(fields: dict[str, Any]) -> str:
    """Write a JSON object."""
    try:
        return orjson.dumps(fields).decode()
    except TypeError:
        # Half of a surrogate pair in what a kernel said, which only json writes.
        return json.dumps(fields, separators=(",", ":"))


def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        # Stricter than JSON: no half of a surrogate pair, which a session's arguments may hold.
        return json.loads(text)


@lru_cache(maxsize=16_384)
def _keyed(key: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The inner and the outer hash of an HMAC-SHA256, which have read the key and nothing else."""
    try:
        secret = bytes.fromhex(key)
    except ValueError as error:
        raise InvalidSetting(
            name="agent key", problem="it must be the hex text that `scheduler agent key` prints"
        ) from error
    if len(secret) > _BLOCK:
        secret = hashlib.sha256(secret).digest()
    padded = secret.ljust(_BLOCK, b"\0")
    return hashlib.sha256(padded.translate(_INNER)), hashlib.sha256(padded.translate(_OUTER))
