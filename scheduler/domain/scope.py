"""Scopes: anything that owns a limit, as (kind, name)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import has_control_characters, shown
from scheduler.domain.spelling import meant

#: Every session is in this one.
GLOBAL_NAME = "global"
#: Characters of what people call things: scopes, sessions, idempotency keys.
LONGEST_NAME = 256
#: A private session holds the scope ``private`` of its keypair, and no other.
KINDS = ("global", "domain", "group", "user", "keypair", "private", "office", "role", "pool")


class Scope(NamedTuple):
    """One owner of limits."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


GLOBAL = Scope("global", GLOBAL_NAME)


@dataclass(frozen=True, slots=True)
class ScopeLimits:
    """What a scope allows; None is unlimited."""

    max_sessions: int | None = None


def parse_scope(kind: str, name: str) -> Scope:
    """Check what a person typed. Raises InvalidSetting."""
    if kind not in KINDS:
        raise InvalidSetting(
            name="scope", problem=f"kind {shown(kind)} is unknown; {meant(str(kind), KINDS)}"
        )
    if not name or len(name) > LONGEST_NAME or has_control_characters(name):
        raise InvalidSetting(
            name="scope", problem="a name has 1 to 256 characters and no control characters"
        )
    if kind == "global" and name != GLOBAL_NAME:
        raise InvalidSetting(
            name="scope", problem=f"the one global scope is called {GLOBAL_NAME!r}"
        )
    return Scope(kind, name)
