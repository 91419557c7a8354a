"""What a cycle decides on: agents, scopes and waiting sessions as the leader knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.waiting import WaitingRoom
from scheduler.domain.scope import Scope
from scheduler.plugins.interfaces import ScopeUse

#: The event that wakes whoever found no room on any agent.
AGENTS = "agents"
_UNKNOWN = ScopeUse(None, 0)


def scope_event(kind: str, name: str) -> str:
    """The event that wakes whoever was refused by a scope."""
    return f"scope:{kind}:{name}"


@dataclass(slots=True)
class Snapshot:
    """The leader's picture of its group; reserved in by the cycle, corrected by what commits answer."""

    agents: AgentTable
    waiting: WaitingRoom
    scopes: dict[Scope, ScopeUse] = field(default_factory=dict)
    now_ms: int = 0

    def scope_use(self, scopes: Iterable[Scope]) -> dict[Scope, ScopeUse]:
        """Limits and use of the given scopes; one that was never heard of is free and unlimited."""
        return {scope: self.scopes.get(scope, _UNKNOWN) for scope in scopes}

    def hold(self, scopes: Iterable[Scope], sign: int) -> None:
        """One session more or less holds these scopes; less wakes who waits for them."""
        for scope in scopes:
            use = self.scopes.get(scope, _UNKNOWN)
            self.scopes[scope] = ScopeUse(use.max_sessions, max(0, use.used + sign))
            if sign < 0:
                self.waiting.wake(scope_event(*scope))
