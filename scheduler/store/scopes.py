"""The repository of scopes: who holds them, and what they allow."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final, cast

import orjson
import redis

from scheduler.domain import quota
from scheduler.domain.errors import PendingLimitReached
from scheduler.domain.scope import (
    GLOBAL,
    NO_LIMITS,
    OtherSlots,
    Scope,
    ScopeLimits,
    ScopeUse,
    check_limits,
)
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_SET = Script.load("scope/set")
_LIMITS: Final = tuple(each.name for each in fields(ScopeLimits))
#: Fields of a scope's use: how many wait, and the beginnings of those that count slots by family.
PENDING, PENDING_SLOTS, SLOTS = "pending", "pending:", "slots:"
#: What is spoilt admits nobody, as to scripts: as no limit it would admit all.
_SPOILT: Final = ScopeLimits(max_sessions=0)


class ScopeRepository:
    """Scopes of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def limit(self, scope: Scope, limits: ScopeLimits, *, only: Collection[str] = _LIMITS) -> None:
        """Change a scope's limits, or those named only. Raises InvalidSetting for what makes no sense."""
        check_limits(scope, limits)
        with speaking_to(self._client):
            _SET(
                self._client,
                self._keys.root,
                kind=scope.kind,
                name=scope.name,
                fields=[
                    part
                    for name in _LIMITS
                    if name in only
                    for part in (name, _text(getattr(limits, name)))
                ],
            )

    def read(self, scopes: Iterable[Scope]) -> dict[Scope, ScopeUse]:
        """Limits and use of the given scopes; two round trips where users have a main keypair."""
        found = self._read(list(dict.fromkeys(scopes)))
        mains = {
            Scope("keypair", use.limits.main_keypair)
            for use in found.values()
            if use.limits.main_keypair
        }
        if mains:
            of = {scope.name: use.limits for scope, use in self._read(sorted(mains)).items()}
            for scope, use in found.items():
                main = of.get(use.limits.main_keypair, NO_LIMITS)
                if main != NO_LIMITS:
                    found[scope] = replace(use, main=main)
        return found

    def _read(self, wanted: list[Scope]) -> dict[Scope, ScopeUse]:
        if not wanted:
            return {}
        names = [str(scope) for scope in wanted]
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.hmget(self._keys.scope_limits(), names)
            pipe.hmget(self._keys.scope_use(), names)
            for scope in wanted:
                pipe.scard(self._keys.scope_members(*scope))
            limits, counts, *held = pipe.execute()
        return {
            scope: use_from(*found)
            for scope, *found in zip(wanted, limits, held, counts, strict=True)
        }

    def members(self, scope: Scope) -> set[str]:
        """Sessions that hold the scope."""
        with speaking_to(self._client):
            return cast("set[str]", self._client.smembers(self._keys.scope_members(*scope)))

    def known(self) -> list[Scope]:
        """Every scope that has limits, and the global one."""
        return sorted({GLOBAL, *self._named(self._keys.scope_limits())})

    def counting(self) -> set[Scope]:
        """Scopes in which anything waits, or of which slots are held."""
        return self._named(self._keys.scope_use())

    def _named(self, key: str) -> set[Scope]:
        with speaking_to(self._client):
            found = cast("list[str]", self._client.hkeys(key))
        return {Scope(*name.split(" ", 1)) for name in found if " " in name}

    def unreadable(self) -> list[Scope]:
        """Scopes whose limits are spoilt: they admit nobody, until those are set anew."""
        with speaking_to(self._client):
            stored = cast("dict[str, str]", self._client.hgetall(self._keys.scope_limits()))
        return sorted(
            Scope(*name.split(" ", 1))
            for name, text in stored.items()
            if " " in name and _told_limits(text) is None
        )


def limits_from(row: Mapping[str, str]) -> ScopeLimits:
    """Read limits as they are stored; "" and what is missing is unlimited."""
    return ScopeLimits(
        max_sessions=_number(row.get("max_sessions")),
        max_slots=json.loads(row.get("max_slots") or "{}"),
        unspecified_slots=OtherSlots(row.get("unspecified_slots") or OtherSlots.UNLIMITED),
        max_pending_sessions=_number(row.get("max_pending_sessions")),
        max_pending_slots=json.loads(row.get("max_pending_slots") or "{}"),
        main_keypair=row.get("main_keypair", ""),
    )


def _told_limits(text: str) -> ScopeLimits | None:
    """Limits as they are stored; None if they are spoilt."""
    try:
        limits = limits_from(orjson.loads(text))
        numbers = [*limits.max_slots.values(), *limits.max_pending_slots.values()]
        return limits if all(isinstance(number, int) for number in numbers) else None
    except (ValueError, TypeError, AttributeError):
        return None


def counts_from(text: str | None) -> dict[str, int]:
    """Read what a scope counts, by field; as to scripts, what is spoilt counts nothing."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    counts = found.items() if isinstance(found, dict) else ()
    return {name: int(number) for name, number in counts if isinstance(number, int | float)}


def use_from(limits: str | None, sessions: int, counts: str | None) -> ScopeUse:
    """Read a scope's use as it is stored."""
    use = counts_from(counts)
    return ScopeUse(
        limits=(_told_limits(limits) or _SPOILT) if limits else NO_LIMITS,
        sessions=sessions,
        slots=_amounts(use, SLOTS),
        pending=use.get(PENDING, 0),
        pending_slots=_amounts(use, PENDING_SLOTS),
    )


def pending_answer(scope: Scope, use: ScopeUse) -> list[str]:
    """A scope that lets no more sessions wait, as scripts answer it and `over_pending` reads it."""
    most = use.limits.max_pending_sessions
    return [
        *scope,
        "" if most is None else str(most),
        json.dumps(dict(use.limits.max_pending_slots)),
        str(use.pending),
        json.dumps(dict(use.pending_slots)),
    ]


def over_pending(answer: Sequence[str], asked: Mapping[str, int]) -> PendingLimitReached:
    """What a script that let no more sessions wait answered, in the words of the rule."""
    _, kind, name, most, most_slots, pending, waiting = answer
    limits = ScopeLimits(
        max_pending_sessions=_number(most), max_pending_slots=json.loads(most_slots)
    )
    use = ScopeUse(limits, pending=int(pending), pending_slots=json.loads(waiting))
    uses = {Scope(kind, name): use}
    says = (quota.pending_count_refusal(uses), quota.pending_slots_refusal(uses, asked))
    return PendingLimitReached(says=" ".join(said for said, _ in says if said))


def _amounts(use: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): amount for name, amount in use.items() if name.startswith(prefix)
    }


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _text(value: Any) -> str:
    """A limit as it is stored; "" lifts it."""
    if isinstance(value, Mapping):
        return json.dumps(value, separators=(",", ":"), sort_keys=True) if value else ""
    if value is None or value is OtherSlots.UNLIMITED:
        return ""
    return str(value)
