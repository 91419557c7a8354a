"""Jobs of an office: submitting them, and how its queue stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from scheduler.domain.errors import InvalidSpec, OfficeAwaited, OfficeOnRecord
from scheduler.domain.ids import SessionId, shown
from scheduler.domain.office import office_scopes
from scheduler.domain.queue import JobQueueStats, RoleStats
from scheduler.domain.scope import Scope
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import FINAL, PLACED, WAITING, SessionState
from scheduler.operations.submission import Store as Submitting
from scheduler.operations.submission import submit_sessions
from scheduler.store.jobs import JobRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.retention import RetentionRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository

#: Jobs that are forgotten in one step: some 10 ms in Redis.
_FORGOTTEN_PER_STEP: Final = 200


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
    store: Submitting,
    office: str,
    specs: Sequence[SessionSpec],
    *,
    role: str = "",
    apart: bool = False,
) -> list[SessionId]:
    """Submit jobs of an office, as `submit_sessions` does.

    ``role`` is that of all that name none themselves. Idempotency keys are the office's own: another
    may use the same. ``apart``: they may depend on jobs of the office only, and sessions of others are
    not known to them. Raises OfficeNotFound; InvalidSpec for a role that the office does not have or
    a spec of another office; and what ``submit_sessions`` raises.
    """
    found = [job_spec(office, spec, role) for spec in specs]
    return submit_sessions(store, found, within=office if apart else "")


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


class DeletingStore(Store, Protocol):
    """What an office is deleted from."""

    @property
    def retention(self) -> RetentionRepository: ...


def delete_office(store: DeletingStore, name: str, *, forget: bool = False) -> int:
    """Delete an office of which no job is left, with its limits, and revoke its API keys; how many those were.

    With ``forget`` its ended jobs are forgotten first, as retention does it: records, results, logs,
    idempotency keys. That goes step by step; a repeat goes on where one was broken off.
    Raises OfficeNotFound, OfficeInUse, OfficeOnRecord, OfficeAwaited.
    """
    while True:
        try:
            return store.offices.delete(name)
        except OfficeOnRecord as refused:
            if not forget:
                raise
            # Before the first job is forgotten it was found that none is still to end.
            if not _forget_jobs(store, name):
                raise OfficeAwaited(office=name, jobs=refused.facts["jobs"]) from refused


def _forget_jobs(store: DeletingStore, office: str) -> int:
    """Go once over all ended jobs; how many were forgotten."""
    forgotten, before = 0, None
    while page := store.jobs.newest(office, "", tuple(FINAL), before, _FORGOTTEN_PER_STEP):
        data = store.sessions.many(job for job, _ in page)
        gone = set(store.offices.forget_jobs(office, [job for job, _ in page]))
        store.retention.delete_logs([each for each in data if each.id in gone])
        forgotten, before = forgotten + len(gone), page[-1][1]
    return forgotten


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
