"""Ids: what they look like, how they are made, and what names people may give."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import NewType

SessionId = NewType("SessionId", str)
AgentId = NewType("AgentId", str)
BootId = NewType("BootId", str)
PlacementId = NewType("PlacementId", str)
GroupName = NewType("GroupName", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SESSION = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
# No dash at the ends and no dots: agent and group names become parts of keys and RQ queue names.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LARGEST_SHOWN = 10**30
#: Byte -> digit, each as often as any other: ids are on the hot path of submit.
_DIGITS = bytes(ord(_ALPHABET[byte % 32]) for byte in range(256))
_TIME_DIGITS, _RANDOM_DIGITS = 10, 16


def new_session_id(now_ms: int) -> SessionId:
    """26 base-32 digits: ten of ms, sixteen (80 bits) random; sorts by the time of submission."""
    return SessionId(_time(now_ms) + os.urandom(_RANDOM_DIGITS).translate(_DIGITS).decode())


@lru_cache(maxsize=16)
def _time(now_ms: int) -> str:
    shifts = range(5 * (_TIME_DIGITS - 1), -1, -5)
    return "".join(_ALPHABET[now_ms >> shift & 31] for shift in shifts)


def submitted_ms(session: str) -> int:
    """When a session was submitted, by its submitter's clock, as its id tells; 0 where it is none."""
    if not is_session_id(session):
        return 0
    return sum(
        _ALPHABET.index(digit) << 5 * place
        for place, digit in enumerate(reversed(session[:_TIME_DIGITS]))
    )


def new_graph_id(now_ms: int) -> str:
    """A g and what a session id is: the two are told apart wherever they meet."""
    return f"g{new_session_id(now_ms)}"


def is_graph_id(text: str) -> bool:
    """Whether the text has the shape of a graph's id."""
    return text[:1] == "g" and is_session_id(text[1:])


def new_nonce() -> str:
    """128 random bits as 32 hex digits: boots, placements, terms."""
    return os.urandom(16).hex()


def is_session_id(text: str) -> bool:
    """Whether the text has the shape of a session id."""
    return _SESSION.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether the text may name an agent, a group, a namespace: letters, digits, _ and -."""
    return _NAME.fullmatch(text) is not None


def shown(value: object, most: int = 64) -> str:
    """What somebody gave, as it may stand in a sentence: quoted, and cut where it is long."""
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a very large number"  # Python itself refuses to write more than 4,300 digits
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]!r}..."
    text = repr(value)
    return text if len(text) <= most + 2 else f"{text[:most]}..."


def has_control_characters(text: str) -> bool:
    """Whether the text would break a terminal, a log line, or (half a surrogate) its own encoding."""
    return _CONTROL.search(text) is not None
