"""The execution queue of seed 002: how many jobs of an office may begin, and what follows their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.domain.queue import Outcome
from scheduler.domain.request import Request
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.scope import Scope
from scheduler.domain.states import SessionState
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository

#: How a job ends that fails for good, by why its last attempt did.
_FOR_GOOD: Final = {"timed_out": SessionState.TIMED_OUT, "silent": SessionState.TIMED_OUT}


class Job(Protocol):
    """A job as its leader knows it, or as it is stored."""

    @property
    def request(self) -> Request: ...
    @property
    def attempt(self) -> int: ...
    @property
    def retries_from(self) -> int: ...


class Store(Protocol):
    """The repositories that are needed."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...
    @property
    def offices(self) -> OfficeRepository: ...


@dataclass(frozen=True, slots=True)
class ExecutionQueue:
    """Jobs on their way through an office's limits.

    It moves no state itself: whether a job may begin is decided by the commit of its placement, which
    checks the office's scopes, and what follows its end is written by the leader, which asks
    `on_job_complete` what that is.
    """

    store: Store
    backoff: RetryPolicy  #: of jobs of which neither spec nor office says any
    spread: Callable[[], float]  #: in [0, 1)

    def get_available_slots(self, office: str, role: str = "") -> int:
        """How many more jobs of an office, or of one of its roles, may be placed now.

        Raises OfficeNotFound.
        """
        config = self.store.offices.read(office).config
        scopes = {Scope("office", office): config.max_concurrent_jobs}
        if role in config.max_concurrent_by_role:
            scopes[Scope("role", f"{office}/{role}")] = config.max_concurrent_by_role[role]
        held = self.store.scopes.read(scopes)
        return max(0, min(limit - held[scope].sessions for scope, limit in scopes.items()))

    def execute_job(self, job_id: str) -> str:
        """Hand a job to its leader now; the state it was in.

        One that waits for its back-off waits no longer, and one that is ready is looked at in the next
        cycle, in its place. Raises SessionNotFound; WrongState where it waits for something else, runs
        or is over.
        """
        return self.store.offices.execute(job_id)

    def on_job_complete(self, job: Job | str, success: bool, error: str = "") -> Outcome:  # noqa: FBT001 - as the seed has it
        """What follows the end of a job's attempt; ``error`` is the reason, as ``failed`` or ``timed_out``.

        The leader gives the job, others its id. Raises SessionNotFound.
        """
        return Outcome(SessionState.SUCCEEDED) if success else self.handle_failure(job, error)

    def handle_failure(self, job: Job | str, error: str) -> Outcome:
        """It is tried again while it has retries left, after a back-off; else it fails for good.

        Attempts before an operator asked for it again do not count. Raises SessionNotFound.
        """
        found = self.store.sessions.get(job) if isinstance(job, str) else job
        used = found.attempt - found.retries_from
        if used > found.request.retries:
            return Outcome(_FOR_GOOD.get(error, SessionState.FAILED))
        delay = self.calculate_retry_delay(max(used, 1), found.request.backoff)
        return Outcome(SessionState.RETRYING, delay)

    def calculate_retry_delay(self, attempt: int, backoff: RetryPolicy | None = None) -> int:
        """How long to wait after attempt number ``attempt`` (from 1), ms."""
        return (backoff or self.backoff).delay_ms(attempt, self.spread())

    def notify_failure(self, job_id: str) -> str:
        """Tell once more, by an event, that a job failed for good; the state it ended in.

        The script that ended it has told it already, and every subscriber gets that; this is for those
        who came later. Raises SessionNotFound; WrongState where it did not fail.
        """
        return self.store.offices.notify_failure(job_id)
