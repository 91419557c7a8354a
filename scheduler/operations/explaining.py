"""Explaining over the store: loads what the validators look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scheduler.domain.clock import Clock
from scheduler.domain.session import SessionData
from scheduler.operations.explain import Explanation, Refusal, explain
from scheduler.plugins.interfaces import Dependency, ValidatorContext
from scheduler.plugins.loading import load_validators
from scheduler.store.groups import GroupRepository
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository

#: Unmet dependencies that are named; one with 20,000 says how many more there are.
NAMED = 20


class _Store(Protocol):
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def leadership(self) -> LeadershipRepository: ...
    @property
    def clock(self) -> Clock: ...


def explain_session(store: _Store, session: str) -> Explanation:
    """Explain one session. Raises SessionNotFound, StoreUnavailable."""
    return explain(
        session,
        store.sessions,
        load_validators(),
        lambda data: context_of(store, data),
        lambda group: _of_group(store, group),
    )


def _of_group(store: _Store, group: str) -> list[Refusal]:
    refusals = []
    if why := store.groups.read(group).paused:
        refusals.append(
            Refusal(
                "pause",
                f"group {group} is paused: {why}",
                (f"an operator resumes it: `scheduler group resume {group}`",),
            )
        )
    if not store.leadership.show(group)["lock"]:
        refusals.append(
            Refusal(
                "leader",
                f"group {group} has no leader now",
                ("start a replica: `scheduler replica run`",),
            )
        )
    return refusals


def context_of(store: _Store, data: SessionData) -> ValidatorContext:
    """What the validators look at, as it is now."""
    return ValidatorContext(
        session=data.id,
        request=data.request,
        now_ms=store.sessions.redis_time_ms(),
        not_before=data.not_before,
        unmet=_unmet(store, data) if data.unmet else (),
        scopes=store.scopes.read(data.request.scopes),
    )


def _unmet(store: _Store, data: SessionData) -> Sequence[Dependency]:
    ids = [parent for parent, met in store.sessions.parents(data.id).items() if met == "unmet"]
    named = [Dependency(d.id, d.name, str(d.state)) for d in store.sessions.many(ids[:NAMED])]
    if len(ids) > NAMED:
        named.append(Dependency(f"and {len(ids) - NAMED} more", "", ""))
    return named
