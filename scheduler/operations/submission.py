"""Submitting: what must be looked up before a session is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scheduler.domain.errors import DesignatedAgentNotFound
from scheduler.domain.ids import SessionId
from scheduler.domain.spec import ClusterMode, SessionSpec
from scheduler.plugins.loading import check_cluster_mode
from scheduler.store.agents import AgentRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.sessions import SessionRepository

_BUILT_IN = frozenset(ClusterMode)
#: Agents that a refusal names.
_NAMED = 20


class Store(Protocol):
    """What a submit reads and writes."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def agents(self) -> AgentRepository: ...
    @property
    def groups(self) -> GroupRepository: ...


def submit_sessions(
    store: Store, specs: Sequence[SessionSpec], *, within: str = ""
) -> list[SessionId]:
    """Write sessions, in batches of two hundred: each wholly or not at all, all checked before the first.

    ``within`` is the office whose jobs all dependencies must be; "" is any.
    Raises UnknownPlugin, DesignatedAgentNotFound, and what ``SessionRepository.submit`` raises.
    """
    check_specs(store, specs)
    return store.sessions.submit(specs, within=within)


def check_specs(store: Store, specs: Sequence[SessionSpec]) -> None:
    """Look up what specs name. Raises UnknownPlugin, DesignatedAgentNotFound."""
    for mode in {spec.cluster_mode for spec in specs} - _BUILT_IN:
        check_cluster_mode(mode)
    designated: dict[str, set[str]] = {}
    for spec in specs:
        if spec.agents and spec.agents_strict:
            designated.setdefault(spec.group, set()).update(spec.agents)
    for group, agents in sorted(designated.items()):
        _check_designated(store, group, agents)


def _check_designated(store: Store, group: str, agents: set[str]) -> None:
    known = store.agents.ids(group)
    unknown = sorted(agents.difference(known))
    # A group that grows may get the agent yet; one that does not exist is refused by its own name.
    if not unknown or group not in store.groups.names() or store.groups.read(group).options.grows:
        return
    named = ", ".join(known[:_NAMED]) or "none"
    if len(known) > _NAMED:
        named += f" and {len(known) - _NAMED} more"
    raise DesignatedAgentNotFound(agent=unknown[0], group=group, known=named)
