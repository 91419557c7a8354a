"""Reading for people and programs: whole records, lists across states, numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from scheduler.domain.agent import AgentData, Beat
from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.redaction import shown_url
from scheduler.domain.session import SessionData
from scheduler.domain.states import FINAL, PLACED, SessionState
from scheduler.domain.tally import Tally
from scheduler.observability.catalogue import Sample
from scheduler.operations.standstill import pool_of, standing_still_ms
from scheduler.store.agents import AgentRepository
from scheduler.store.audit import AuditRepository
from scheduler.store.events import EventRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.sessions import SessionRepository

LIVE = tuple(state for state in SessionState if state not in FINAL)


class Store(Protocol):
    """The repositories that are read."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def agents(self) -> AgentRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def leadership(self) -> LeadershipRepository: ...
    @property
    def events(self) -> EventRepository: ...


def list_sessions(
    sessions: SessionRepository, groups: Iterable[str], states: Sequence[SessionState], limit: int
) -> list[SessionData]:
    """At most ``limit`` sessions: what lives before what has ended, each newest first.

    One state alone keeps its own order, which for READY is that of the queue.
    """
    ids = {
        state: [i for group in groups for i in sessions.list_ids(group, state, limit=limit)]
        for state in states
    }
    if len(states) == 1:
        return sessions.many(ids[states[0]][:limit])
    live = sorted(
        (i for state, found in ids.items() if state not in FINAL for i in found), reverse=True
    )
    # Ids of one millisecond are in no order; the order of submission is.
    shown = sorted(sessions.many(live[:limit]), key=lambda data: data.seq, reverse=True)
    if len(shown) < limit:
        ended = sessions.many(i for state, found in ids.items() if state in FINAL for i in found)
        ended.sort(key=lambda data: data.ended_at or 0, reverse=True)
        shown += ended[: limit - len(shown)]
    return shown


def session_details(data: SessionData, result: Any) -> dict[str, Any]:
    """Everything known of a session, for JSON; times in ms."""
    request = data.request
    return data.summary() | {
        "seq": data.seq,
        "request": {
            "id": request.id,
            "kernels": [dict(kernel) for kernel in request.kernels],
            "scopes": [list(scope) for scope in request.scopes],
            "cluster_mode": str(request.cluster_mode),
            "session_type": str(request.session_type),
            "timeout_ms": data.own_timeout_ms or request.timeout_ms,
            "done_pattern": request.done_pattern,
            "silence_ms": request.silence_ms,
            "retries": request.retries,
            "backoff": request.backoff.as_json() if request.backoff else None,
            "inherits": sorted(request.inherits),
            "on_lost": str(request.on_lost),
            "constraints": request.constraints.as_json(),
        },
        "placement": data.placement,
        "error": data.error,
        "rescues": data.rescues,
        "unmet": data.unmet,
        "not_before": data.not_before,
        "timeout_ms": data.timeout_ms,
        "running_at": data.running_at,
        "cancel_requested": data.cancel_requested,
        "cancelled_at": data.cancelled_at,
        "office": data.office,
        "role": data.role,
        "retry_count": data.retry_count,
        "idempotency_key": data.idempotency_key,
        "callback": shown_url(data.callback) if data.callback else None,
        "callback_told": data.callback_told,
        "kernels": [asdict(kernel) for kernel in data.kernels],
        "attempts": [asdict(attempt) for attempt in data.history],
        "result": result,
        "unreadable": list(data.unreadable),
    }


def agent_details(agent: AgentData, beat: Beat | None) -> dict[str, Any]:
    """Everything known of an agent, for JSON; times in ms."""
    current = beat if beat is not None and beat.boot == agent.boot else None
    return asdict(agent) | {
        "status": str(agent.status),
        "candidate": agent.candidate.partition(" ")[2],
        "refused": agent.refused.partition(" ")[2],
        "last_beat": current.at_ms if current else None,
        "running": list(current.running) if current else [],
    }


def placed_on(
    sessions: SessionRepository, audit: AuditRepository, agent: AgentData
) -> list[SessionData]:
    """Sessions placed on an agent, by a walk through those placed in its group."""
    found: list[SessionData] = []
    for state in PLACED:
        start = 0
        while ids := audit.ids(agent.group, state, start):
            start += len(ids)
            found += [d for d in sessions.many(ids) if any(k.agent == agent.id for k in d.kernels)]
    return found


def measure(store: Store, audit: AuditRepository, leads: Iterable[str]) -> list[Sample]:
    """The numbers of a namespace, as the catalogue has them; if Redis is away, just that."""
    led = set(leads)
    try:
        samples = [Sample("scheduler_redis_up", 1), _events(store.events)]
        for group in store.groups.names():
            samples += _of_group(store, audit, group, led)
    except StoreUnavailable:
        return [Sample("scheduler_redis_up", 0)]
    return samples


def _events(events: EventRepository) -> Sample:
    return Sample("scheduler_events_seq", int(events.last_id().partition("-")[2]))


def _of_group(store: Store, audit: AuditRepository, group: str, led: set[str]) -> list[Sample]:
    leadership: Mapping[str, str] = store.leadership.show(group)
    standings, statuses = audit.standings(group), Counter[str]()
    for (status, _), count in standings.items():
        statuses[status] += count
    hangs = standing_still_ms(leadership, audit.now_ms())
    return [
        *(
            Sample("scheduler_sessions", count, (group, str(state)))
            for state, count in store.sessions.counts(group).items()
        ),
        *(
            Sample("scheduler_agents", count, (group, status))
            for status, count in sorted(statuses.items())
        ),
        Sample("scheduler_agents_drained", pool_of(standings).drained, (group,)),
        Sample("scheduler_group_paused", int(bool(store.groups.read(group).paused)), (group,)),
        Sample("scheduler_longest_ready_seconds", audit.longest_ready_ms(group) / 1000, (group,)),
        Sample("scheduler_leader_hangs_seconds", hangs / 1000, (group,)),
        Sample("scheduler_leader_term", int(leadership.get("term", 0)), (group,)),
        Sample("scheduler_group_led", int(bool(leadership["lock"])), (group,)),
        Sample("scheduler_leads", int(group in led), (group,)),
        Sample("scheduler_late_writes", int(leadership.get("late_writes", 0)), (group,)),
        *_of_cycles(store.groups.tally(group), group),
    ]


def _of_cycles(tally: Tally, group: str) -> list[Sample]:
    return [
        Sample("scheduler_cycles", tally.cycles, (group,)),
        Sample("scheduler_placed", tally.placed, (group,)),
        *(Sample("scheduler_refused", n, (group, rule)) for rule, n in tally.causes.items()),
        Sample("scheduler_cycle_busy_seconds", tally.busy_us / 1e6, (group,)),
        Sample("scheduler_cycle_seconds", tally.p50_us / 1e6, (group, "0.5")),
        Sample("scheduler_cycle_seconds", tally.p99_us / 1e6, (group, "0.99")),
    ]
