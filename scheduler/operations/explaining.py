"""Explaining over the store: loads what the validators look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Protocol

import redis

from scheduler.domain.agent import AgentData
from scheduler.domain.clock import Clock
from scheduler.domain.obstacles import Asked, Obstacle, ObstacleKind
from scheduler.domain.position import Position
from scheduler.domain.session import SessionData
from scheduler.domain.states import KERNEL_LIVE, PLACED, SessionState
from scheduler.domain.verdict import SCHEDULER, SELECTOR
from scheduler.operations.control import placed_ids
from scheduler.operations.explain import (
    HANGING,
    WAITS_FOR_AGENTS,
    Explanation,
    Refusal,
    WhyNot,
    explain,
    state_in_words,
)
from scheduler.operations.inspection import placed_on
from scheduler.operations.standstill import HANGS, standing_still_ms
from scheduler.operations.whynot import (
    AgentAnswer,
    Glimpse,
    answer,
    asked_of,
    failed_lately,
    holders_on,
    least_miss,
    nearest,
)
from scheduler.plugins.interfaces import (
    AbstractClusterMode,
    AbstractValidator,
    Dependency,
    ValidatorContext,
)
from scheduler.plugins.loading import check_cluster_mode, load_cluster_modes, load_validators
from scheduler.store.agents import AgentRepository
from scheduler.store.audit import AuditRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.positions import PositionRepository
from scheduler.store.rows import agent_from_record
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.timeouts import TimeoutRepository

#: Unmet dependencies that are named; one with 20,000 says how many more there are.
NAMED = 20


#: Agents read in one round trip.
PAGE = 500
#: By whom it is refused that no agent has room; told of each agent by itself here.
_ROOM = "agents"


class _Store(Protocol):
    @property
    def client(self) -> redis.Redis: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def agents(self) -> AgentRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def leadership(self) -> LeadershipRepository: ...
    @property
    def clock(self) -> Clock: ...


class _Facts:
    """What explaining reads of one store."""

    def __init__(self, store: _Store) -> None:
        self._store = store

    def get(self, session: str) -> SessionData:
        return self._store.sessions.get(session)

    def verdict(self, group: str, request: str) -> dict[str, Any] | None:
        noted = self._store.sessions.verdict(group, request)
        for failure in noted["failures"] if noted else ():
            if failure["by"] in (SCHEDULER, SELECTOR):
                failure["cures"] = failure["cures"] or self._cures(group, failure["by"])
        return noted

    def _cures(self, group: str, kind: str) -> list[str]:
        """What an operator does about a plugin that is broken."""
        before = self._store.groups.read(group).revision - 1
        back = f", or `scheduler group rollback {group} {before}`" if before > 0 else ""
        option = kind.partition("-")[0]
        return [f"the group uses another: `scheduler group set {group} --{option} NAME`{back}"]

    def position(self, data: SessionData) -> Position | None:
        if data.state is not SessionState.READY:
            return None
        return PositionRepository(self._store.client, self._store.keys).of(data)

    def timer(self, data: SessionData) -> int | None:
        timeouts = TimeoutRepository(self._store.client, self._store.keys)
        return timeouts.looked_at(data.group, data.id)


def explain_session(store: _Store, session: str, *, agents: int = 0) -> Explanation:
    """Explain one session; with ``agents``, also why not on so many of them, nearest miss first.

    Raises SessionNotFound, StoreUnavailable.
    """
    found = explain(
        session,
        _Facts(store),
        _rules(),
        lambda data: context_of(store, data),
        lambda group: _of_group(store, group),
    )
    if found.state in PLACED:
        group = store.sessions.get(session).group
        if not store.leadership.show(group)["lock"]:
            return replace(
                found, says=f"{found.says}; group {group} has no leader now, so that may be old"
            )
    if not agents or found.state not in WAITS_FOR_AGENTS:
        return found
    return replace(found, agents=_nearest(store, store.sessions.get(session), agents))


def why_not(store: _Store, session: str, agent: str) -> WhyNot:
    """Why a session does not run on one agent, and the smallest change that would let it.

    Raises SessionNotFound, AgentNotFound, StoreUnavailable.
    """
    data, record = store.sessions.get(session), store.agents.get(agent)
    barred = _barred(data, record)
    if barred is not None:
        return WhyNot(AgentAnswer(agent, (barred,), (barred.change,), 0, 0, 0), ())
    placed = placed_on(store.sessions, AuditRepository(store.client, store.keys), record)
    holders = holders_on(agent, placed)
    found = answer(
        _asked(data),
        record,
        kernels=sum(holder.kernels for holder in holders),
        failed_on=failed_lately(data),
        holders=holders,
    )
    others = [r for r in explain_session(store, session).refusals if r.by != _ROOM]
    return WhyNot(found, tuple(others))


def _barred(data: SessionData, agent: AgentData) -> Obstacle | None:
    """Why an agent is not even looked at for a session."""
    if data.state not in WAITS_FOR_AGENTS:
        return Obstacle(
            ObstacleKind.SESSION, f"is not asked: {state_in_words(data)}", "it waits again"
        )
    if not data.request.known:
        why = "is not asked: what the session asked for is gone from Redis"
        return Obstacle(ObstacleKind.SESSION, why, "it is submitted again")
    if agent.group != data.group:
        return Obstacle(
            ObstacleKind.GROUP,
            f"is of group {agent.group}, the session of group {data.group}",
            f"the session is submitted to group {agent.group}, or the agent started for {data.group}",
        )
    return None


def _asked(data: SessionData) -> Asked:
    mode = data.request.cluster_mode
    check_cluster_mode(mode)
    return asked_of(_modes()[mode].needs(data.request), mode)


# To look through what is installed takes 10 ms, more than all questions to Redis.
@lru_cache(maxsize=1)
def _rules() -> tuple[AbstractValidator, ...]:
    return load_validators()


@lru_cache(maxsize=1)
def _modes() -> dict[str, AbstractClusterMode]:
    return load_cluster_modes()


def _nearest(store: _Store, data: SessionData, most: int) -> tuple[AgentAnswer, ...]:
    if not data.request.known:
        return ()
    asked, ids, glimpses, limited = (
        _asked(data),
        store.agents.ids(data.group),
        list[Glimpse](),
        False,
    )
    for start in range(0, len(ids), PAGE):
        for agent, record in store.agents.records(ids[start : start + PAGE]).items():
            # To read a record with eight devices whole takes five times as long as a glance at it.
            read = partial(agent_from_record, agent, record)
            glimpses.append(Glimpse(agent, least_miss(asked, record), read))
            limited |= record.get("max_kernels", "0") != "0"
    # What runs where is counted only where a limit asks for it.
    kernels = _kernels_by_agent(store, data.group) if limited else Counter[str]()
    return nearest(asked, glimpses, kernels, most, failed_lately(data))


def _kernels_by_agent(store: _Store, group: str) -> Counter[str]:
    audit, found = AuditRepository(store.client, store.keys), Counter[str]()
    ids = placed_ids(audit, group)
    for start in range(0, len(ids), PAGE):
        for data in store.sessions.many(ids[start : start + PAGE]):
            found.update(kernel.agent for kernel in data.kernels if kernel.state in KERNEL_LIVE)
    return found


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
    leadership = store.leadership.show(group)
    if still := standing_still_ms(leadership, store.sessions.redis_time_ms()):
        why = f"the leader of group {group}, {leadership['holder']}, has not decided for {still // 1000} s"
        refusals.append(Refusal(HANGING, why, (HANGS,)))
    if not leadership["lock"]:
        refusals.append(
            Refusal(
                "leader",
                f"group {group} has no leader now",
                (f"start a replica: `scheduler replica run --group {group}`",),
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
    edges = store.sessions.parents(data.id)
    held = {parent for parent, edge in edges.items() if edge.startswith("held")}
    ids = [*sorted(held), *(parent for parent, edge in edges.items() if edge.startswith("unmet"))]
    found = {str(d.id): d for d in store.sessions.many(ids[:NAMED])}
    named = [
        Dependency(
            parent,
            found[parent].name,
            str(found[parent].state),
            # One that was asked to run again is waited for.
            held=parent in held and found[parent].ended,
        )
        if parent in found
        else Dependency(parent, "", "gone", parent in held)
        for parent in ids[:NAMED]
    ]
    if len(ids) > NAMED:
        named.append(Dependency(f"and {len(ids) - NAMED} more", "", ""))
    return named
