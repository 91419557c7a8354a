"""Scopes: anything that owns a limit, as (kind, name)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import has_control_characters, shown
from scheduler.domain.records import record
from scheduler.domain.slots import LARGEST
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


class OtherSlots(StrEnum):
    """What a limit of slots says of the families that it does not name."""

    UNLIMITED = "unlimited"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class ScopeLimits:
    """What a scope allows; None, or no families, is unlimited. Slots are by family, as scopes count them."""

    max_sessions: int | None = None
    max_slots: Mapping[str, int] = field(default_factory=dict)
    unspecified_slots: OtherSlots = OtherSlots.UNLIMITED  #: matters only beside max_slots
    max_pending_sessions: int | None = None
    max_pending_slots: Mapping[str, int] = field(default_factory=dict)
    main_keypair: str = ""  #: of a user: the keypair whose limits of slots are the user's, too

    @property
    def limit_waiting(self) -> bool:
        """Whether they say anything about sessions that wait."""
        return self.max_pending_sessions is not None or bool(self.max_pending_slots)

    @property
    def other_slots(self) -> int | None:
        """How much of each family may be held that ``max_slots`` does not name; None is unlimited."""
        return 0 if self.max_slots and self.unspecified_slots is OtherSlots.ZERO else None

    def of_slot(self, family: str) -> int | None:
        """How much of a family may be held; None is unlimited."""
        return self.max_slots.get(family, self.other_slots)


NO_LIMITS = ScopeLimits()


@record
class ScopeUse:
    """A scope's limits and what it has: placed sessions and their slots, waiting ones and what they ask."""

    limits: ScopeLimits = NO_LIMITS
    sessions: int = 0
    slots: Mapping[str, int] = field(default_factory=dict)
    pending: int = 0
    pending_slots: Mapping[str, int] = field(default_factory=dict)
    main: ScopeLimits | None = None  #: those of its main keypair, where one is named and has any

    @property
    def limits_slots(self) -> bool:
        """Whether it may refuse slots at all."""
        limits = self.limits
        return limits is not NO_LIMITS and bool(limits.max_slots or limits.main_keypair)

    @property
    def policy(self) -> ScopeLimits | None:
        """Whose limits of slots count; None: a main keypair is named and has no limits, which admits nobody."""
        return self.main if self.limits.main_keypair else self.limits

    def holding(self, slots: Mapping[str, int], count: int) -> ScopeUse:
        """With so many sessions more or less that ask for these slots each."""
        held = {**self.slots}
        for family, amount in slots.items():
            left = held.get(family, 0) + count * amount
            if left > 0:
                held[family] = left
            else:
                held.pop(family, None)
        sessions = max(0, self.sessions + count)
        return ScopeUse(self.limits, sessions, held, self.pending, self.pending_slots, self.main)

    def awaiting(self, slots: Mapping[str, int]) -> ScopeUse:
        """With one more session that waits for these slots."""
        waits = dict(self.pending_slots)
        for family, amount in slots.items():
            waits[family] = waits.get(family, 0) + amount
        return replace(self, pending=self.pending + 1, pending_slots=waits)

    @property
    def idle(self) -> bool:
        """Whether nothing is known of it that matters."""
        return not self.sessions and self.limits == NO_LIMITS

    @property
    def full(self) -> bool:
        """Whether it has as many sessions as it may."""
        most = self.limits.max_sessions
        return most is not None and self.sessions >= most


def check_limits(scope: Scope, limits: ScopeLimits) -> None:
    """Refuse limits that make no sense for a scope. Raises InvalidSetting."""
    numbers = {
        "max_sessions": limits.max_sessions,
        "max_pending": limits.max_pending_sessions,
        **{f"max_slots {name}": amount for name, amount in limits.max_slots.items()},
        **{
            f"max_pending_slots {name}": amount for name, amount in limits.max_pending_slots.items()
        },
    }
    for name, number in numbers.items():
        if number is not None and not 0 <= number <= LARGEST:
            bound = "0 or more" if number < 0 else f"at most {LARGEST}"
            raise InvalidSetting(name=name, problem=f"a limit is {bound}, got {number}")
    if limits.main_keypair and scope.kind != "user":
        raise InvalidSetting(
            name="main_keypair", problem=f"only a user has one, and {scope.kind} is none"
        )
    if limits.main_keypair:
        parse_scope("keypair", limits.main_keypair)
    if scope.kind == "private" and limits != ScopeLimits(limits.max_sessions):
        raise InvalidSetting(
            name="scope", problem="private sessions have one limit, max_sessions, and no quota"
        )


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
