"""Who holds and has used how much of a group, and who its scheduler lets go first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.domain.share import DAY_MS, Usage, Used, add_use, dominant_share
from scheduler.domain.slots import by_family
from scheduler.domain.states import KERNEL_LIVE, PLACED
from scheduler.plugins.interfaces import SchedulingContext
from scheduler.plugins.loading import load_scheduler
from scheduler.store.agents import AgentRepository
from scheduler.store.audit import AuditRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.use import UseRepository


class Store(Protocol):
    """The repositories that are read."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def agents(self) -> AgentRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def use(self) -> UseRepository: ...


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """One owner who holds something of a group, or has used it."""

    owner: str  #: "" is who names neither a user nor a keypair
    held: Mapping[str, int]  #: slots by family
    dominant_share: float
    facts: Mapping[str, float] = field(default_factory=dict)  #: what the scheduler knows besides


def owner_shares(store: Store, audit: AuditRepository, group: str) -> list[OwnerRow]:
    """The owners of a group, in the order of its scheduler; by share where that knows no owners.

    Walks through all that is placed there, without a leader's help. Raises GroupNotFound,
    UnknownPlugin, InvalidSetting.
    """
    options = store.groups.get(group)
    scheduler = load_scheduler(options.scheduler, options, {})
    now = store.sessions.redis_time_ms()
    used = store.use.read(group, now // DAY_MS, scheduler.usage_days)
    held_by, running = _held(store, audit, group, now)
    context = SchedulingContext(now, _capacity(store, group), held_by, Usage(now, used, running))
    owners = {*held_by, *(owner for by_owner in used.values() for owner in by_owner)}
    rows: list[tuple[tuple[float, ...], OwnerRow]] = []
    for owner in owners:
        held = dict(context.held.get(owner, {}))
        share = dominant_share(held, context.capacity)
        found = scheduler.share_of(context, owner)
        rows.append(
            ((-share,), OwnerRow(owner, held, share))
            if found is None
            else (found.order, OwnerRow(owner, held, share, found.facts))
        )
    return [row for _, row in sorted(rows, key=lambda entry: (entry[0], entry[1].owner))]


def _capacity(store: Store, group: str) -> dict[str, int]:
    agents = store.agents.many(store.agents.ids(group))
    found: Counter[str] = Counter()
    for agent in agents:
        if agent.group == group:
            found.update(by_family(agent.capacity))
    return dict(found)


def _held(
    store: Store, audit: AuditRepository, group: str, now_ms: int
) -> tuple[dict[str, Counter[str]], dict[int, Used]]:
    """What owners hold by what they asked for, and their use by what runs, as far as it got."""
    held: dict[str, Counter[str]] = {}
    running: dict[int, Used] = {}
    for state in PLACED:
        start = 0
        while ids := audit.ids(group, state, start):
            start += len(ids)
            for data in store.sessions.many(ids):
                owner = data.request.owner
                held.setdefault(owner, Counter()).update(data.request.families)
                for kernel in data.kernels:
                    if kernel.state in KERNEL_LIVE:
                        slots = by_family(kernel.slots)
                        add_use(running, owner, slots, data.placed_at or now_ms, now_ms)
    return held, running
