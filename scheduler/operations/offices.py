"""Jobs of an office: submitting them, and how its queue stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.ids import SessionId, shown
from scheduler.domain.office import office_scopes
from scheduler.domain.queue import JobQueueStats, RoleStats
from scheduler.domain.scope import Scope
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import PLACED, WAITING, SessionState
from scheduler.operations.submission import Store as Submitting
from scheduler.operations.submission import submit_sessions
from scheduler.store.jobs import JobRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository


class Store(Protocol):
    """The repositories that are needed."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...
    @property
    def offices(self) -> OfficeRepository: ...
    @property
    def jobs(self) -> JobRepository: ...


def submit_jobs(
    store: Submitting, office: str, specs: Sequence[SessionSpec], *, role: str = ""
) -> list[SessionId]:
    """Submit jobs of an office, as `submit_sessions` does.

    ``role`` is that of all that name none themselves. Idempotency keys are the office's own: another
    may use the same. Raises OfficeNotFound; InvalidSpec for a role that the office does not have or
    a spec of another office; and what ``submit_sessions`` raises.
    """
    return submit_sessions(store, [job_spec(office, spec, role) for spec in specs])


def job_spec(office: str, spec: SessionSpec, role: str = "") -> SessionSpec:
    """A spec as one of a job of this office. Raises InvalidSpec."""
    other = spec.scopes.get("office", office)
    if other != office:
        raise InvalidSpec(problem=f"it is a job of office {shown(other)}, not of {office}")
    key = spec.idempotency_key
    return replace(
        spec,
        scopes={**office_scopes(office, role), **spec.scopes},
        idempotency_key=None if key is None else f"{office}/{key}",
    )


def office_stats(store: Store, name: str) -> JobQueueStats:
    """How an office's queue stands. Costs the same however many jobs there are. Raises OfficeNotFound."""
    office = store.offices.read(name)
    config, counts = office.config, store.jobs.counts(name)
    roles = {role: Scope("role", f"{name}/{role}") for role in config.known_roles}
    used = store.scopes.read(roles.values())
    return JobQueueStats(
        office=name,
        limit=config.max_concurrent_jobs,
        running=sum(counts[state] for state in PLACED),
        ready=counts[SessionState.READY],
        pending=counts[SessionState.PENDING],
        retrying=counts[SessionState.RETRYING],
        succeeded=counts[SessionState.SUCCEEDED],
        failed=counts[SessionState.FAILED],
        timed_out=counts[SessionState.TIMED_OUT],
        cancelled=counts[SessionState.CANCELLED],
        oldest_waiting_ms=_oldest_waiting_ms(store, name),
        roles={
            role: RoleStats(
                used[scope].sessions, used[scope].pending, used[scope].limits.max_sessions
            )
            for role, scope in roles.items()
        },
    )


def _oldest_waiting_ms(store: Store, office: str) -> int | None:
    oldest = store.sessions.many(store.jobs.oldest(office, WAITING))
    if not oldest:
        return None
    return max(0, store.sessions.redis_time_ms() - min(data.submitted_at for data in oldest))
