"""Changing the limits of a scope: what makes no sense here is refused before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import shown
from scheduler.domain.office import limit_command
from scheduler.domain.scope import OtherSlots, Scope, ScopeLimits
from scheduler.domain.spelling import meant
from scheduler.store.groups import GroupRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import ScopeRepository

_ALWAYS: Final = frozenset({"cpu", "mem", "disk"})


class Store(Protocol):
    """What changing limits reads and writes."""

    @property
    def groups(self) -> GroupRepository: ...
    @property
    def offices(self) -> OfficeRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...


def change_limits(store: Store, scope: Scope, changes: Mapping[str, Any]) -> ScopeLimits:
    """Change the limits named, which are fields of ScopeLimits; all of them as they are then.

    Raises InvalidSetting.
    """
    if "max_sessions" in changes:
        _refuse_offices(store, scope)
    if "unspecified_slots" in changes:
        changes = {**changes, "unspecified_slots": OtherSlots(changes["unspecified_slots"])}
    limits = replace(store.scopes.read([scope])[scope].limits, **changes)
    _refuse_unknown(store, {*changes.get("max_slots", {}), *changes.get("max_pending_slots", {})})
    store.scopes.limit(scope, limits, only=changes)
    return limits


def _refuse_offices(store: Store, scope: Scope) -> None:
    """How many jobs an office may run is in its configuration; a second truth would be lost with it."""
    office = scope.name.partition("/")[0]
    if scope.kind in ("office", "role") and office in store.offices.names():
        problem = f"office {office} says it; use `{limit_command(scope)}`"
        raise InvalidSetting(name="max_sessions", problem=problem)


def _refuse_unknown(store: Store, families: Iterable[str]) -> None:
    """A mistyped family would be a limit of nothing; where there are agents, theirs are known."""
    unknown = sorted(set(families) - _ALWAYS)
    if not unknown:
        return
    offered = store.groups.offered()
    strange = [family for family in unknown if family not in offered]
    if offered and strange:
        raise InvalidSetting(
            name="slots",
            problem=f"no agent offers {shown(strange[0])}; {meant(strange[0], sorted(offered | _ALWAYS))}",
        )
