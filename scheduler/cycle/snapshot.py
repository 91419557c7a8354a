"""What a cycle decides on: agents, scopes and waiting sessions as the leader knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.releases import Releases
from scheduler.cycle.reservations import Reservations
from scheduler.cycle.waiting import ROOM, WaitingRoom
from scheduler.domain.request import Request
from scheduler.domain.scope import NO_LIMITS, Scope, ScopeUse
from scheduler.domain.share import Usage
from scheduler.plugins.interfaces import AbstractScheduler, Running, SchedulingContext

#: The event that wakes whoever found no room on any agent.
AGENTS = ROOM
_UNKNOWN = ScopeUse()


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
    held: dict[str, dict[str, int]] = field(default_factory=dict)  #: slots by family, by owner
    usage: Usage | None = None  #: where the scheduler looks back
    changes: int = 0  #: how often somebody began or ceased to hold something

    #: Placed sessions of the group.
    existing: Callable[[], Iterable[Running]] = tuple
    releases: Releases = field(default_factory=Releases)  #: until when placed sessions hold what
    reservations: Reservations = field(init=False)
    #: How all that schedulers order by stood when the last cycle ended at its limit, with its scheduler.
    ordered: tuple[AbstractScheduler, tuple[object, ...]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.reservations = Reservations(self.agents, self.waiting, self.releases)

    @property
    def context(self) -> SchedulingContext:
        """What schedulers order by; the same mappings as here, which go on to change."""
        return SchedulingContext(
            self.now_ms, self.agents.total_capacity, self.held, self.usage, self.existing
        )

    def order(self, scheduler: AbstractScheduler) -> None:
        """Let a scheduler begin a cycle, unless it may go on where the last one ended."""
        ordered, self.ordered = self.ordered, None
        if ordered is None or ordered[0] is not scheduler or ordered[1] != self._basis():
            scheduler.prioritize(self.context, self.waiting.heads())

    def stopped(self, scheduler: AbstractScheduler) -> None:
        """A cycle ended at its limit: the next may go on there."""
        if scheduler.resumes:
            self.ordered = scheduler, self._basis()

    def _basis(self) -> tuple[object, ...]:
        """Equal as long as nothing changes by which schedulers order."""
        changes = self.waiting.version, self.changes
        return self.now_ms, *changes, self.agents.total_capacity, self.usage

    def scope_use(self, scopes: Iterable[Scope]) -> dict[Scope, ScopeUse]:
        """Limits and use of the given scopes; one that was never heard of is free and unlimited."""
        known = self.scopes
        found: dict[Scope, ScopeUse] = {}
        for scope in scopes:
            use = found[scope] = known.get(scope, _UNKNOWN)
            if use.limits is not NO_LIMITS and use.limits.main_keypair:
                main = self.scopes.get(Scope("keypair", use.limits.main_keypair), _UNKNOWN).limits
                found[scope] = replace(use, main=None if main == NO_LIMITS else main)
        return found

    def hold(self, request: Request, count: int) -> None:
        """So many sessions more or less are placed; less wakes who waits for one of their scopes."""
        self.changes += 1
        held = self.held.setdefault(request.owner, {})
        families, scopes = request.families, self.scopes
        for family, amount in families.items():
            left = held.get(family, 0) + count * amount
            held[family] = max(0, left)
        for scope in request.scopes:
            scopes[scope] = scopes.get(scope, _UNKNOWN).holding(families, count)
            if count < 0:
                self.waiting.wake(scope_event(*scope))
