"""A handle on one office: its configuration, its queue, its jobs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scheduler.bootstrap import Store
from scheduler.client.handles import Session, with_ids
from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.ids import shown
from scheduler.domain.job import JobExecution, Period
from scheduler.domain.office import JobSchedulerConfig
from scheduler.domain.queue import JobQueueStats
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.domain.wanted import Wanted
from scheduler.jobs.execution_queue import ExecutionQueue
from scheduler.operations.jobs import cancel_all, executions, handoff, job_of, list_jobs
from scheduler.operations.offices import delete_office, office_stats, submit_jobs

if TYPE_CHECKING:
    from scheduler.client import Client


class Office:
    """A handle on one office and its jobs. Reading an attribute asks Redis, except ``name``."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def __repr__(self) -> str:
        return f"<Office {self.name}>"

    @property
    def config(self) -> JobSchedulerConfig:
        """What it allows, and what its jobs get where they do not say. Raises OfficeNotFound."""
        return self._client.store.offices.read(self.name).config

    @property
    def revision(self) -> int:
        """Of its configuration. Raises OfficeNotFound."""
        return self._client.store.offices.read(self.name).revision

    def create(self, **config: Any) -> JobSchedulerConfig:
        """Make it, with fields of JobSchedulerConfig; the others are as by default.

        Raises OfficeExists, InvalidSetting.
        """
        return self._client.store.offices.create(self.name, config).config

    def configure(self, *, expected: int | None = None, **changes: Any) -> JobSchedulerConfig:
        """Change fields of its configuration, at ``expected`` revision only where that is given.

        It holds at once, for jobs that wait already, too. Raises OfficeNotFound,
        OfficeRevisionConflict, InvalidSetting.
        """
        return self._client.store.offices.change(self.name, changes, expected).config

    def delete(self, *, forget: bool = False) -> int:
        """Delete it with its limits, and revoke its API keys; how many those were. Its name begins anew.

        ``forget`` forgets its ended jobs first, with logs, results and idempotency keys. Raises
        OfficeNotFound; OfficeInUse while a job of it has not ended; OfficeOnRecord while ended ones are
        on record; OfficeAwaited where sessions of others wait for one.
        """
        return delete_office(self._client.store, self.name, forget=forget)

    def submit(
        self, work: str | SessionSpec, /, *args: Any, role: str = "", **options: Any
    ) -> Session:
        """Submit a job: ``"package.module:function"`` with arguments and fields of SessionSpec, or a spec.

        Timeout, retries and back-off that are not given are what the office says when it runs.
        Raises OfficeNotFound, InvalidSpec, and what ``Client.enqueue_many`` raises.
        """
        if isinstance(work, str):
            work = SessionSpec(callable=work, args=args, **with_ids(options))
        elif args or options:
            raise InvalidSpec(problem="arguments and options go into the spec that is given")
        return self.submit_many([work], role=role)[0]

    def submit_many(self, specs: Sequence[SessionSpec], *, role: str = "") -> list[Session]:
        """Submit jobs, of ``role`` where a spec names none; otherwise as ``Client.enqueue_many``."""
        self._client.check_server()
        jobs = submit_jobs(self._client.store, self.name, specs, role=role)
        return [Session(self._client, job) for job in jobs]

    def stats(self) -> JobQueueStats:
        """How its queue stands. Raises OfficeNotFound."""
        return office_stats(self._client.store, self.name)

    def jobs(  # noqa: PLR0913 - what a list may be narrowed by
        self,
        state: SessionState | None = None,
        *,
        role: str = "",
        submitted_after: datetime | int | None = None,
        submitted_before: datetime | int | None = None,
        name: str | None = None,
        agent: str | None = None,
    ) -> Iterator[SessionData]:
        """Its jobs, the last submitted first, of one state, one role and from one time to another where given.

        Times are datetimes with a time zone, or ms of Redis' clock as jobs show them; what was submitted
        at the former is among them, at the latter is not. ``name`` is a name or a pattern such as
        ``train-*``, ``agent`` one that has a kernel of the job now. Raises InvalidSetting.
        """
        times = (submitted_after, submitted_before)
        yield from each_job(
            self._client.store, self.name, state, role, times, Wanted.of(name, agent)
        )

    def executions(self, job: Session | str) -> list[JobExecution]:
        """The tries to run a job of it, oldest first. Raises SessionNotFound."""
        return executions(self._client.store, self.name, getattr(job, "id", str(job)))

    def cancel_all(self, state: SessionState | None = None, *, role: str = "") -> int:
        """Cancel the jobs it has now, of one state and one role where given; how many that were."""
        return cancel_all(self._client.store, self.name, state, role)

    def handoff(self, job: Session | str, role: str, *, expected: str | None = None) -> None:
        """Give a job that waits, or that may be retried, another role; at one revision of it only where given.

        Raises SessionNotFound, WrongState, OfficeNotFound, InvalidSetting, PendingLimitReached,
        SessionRevisionConflict.
        """
        found = getattr(job, "id", str(job))
        handoff(self._client.store, self.name, found, role, expected=expected)

    def available_slots(self, role: str = "") -> int:
        """How many more jobs, or jobs of one role, may be placed now. Raises OfficeNotFound."""
        return self._queue.get_available_slots(self.name, role)

    def execute(self, job: Session | str) -> None:
        """Hand a job to its leader now, its back-off over. Raises SessionNotFound, WrongState."""
        self._queue.execute_job(self._job(job))

    def notify_failure(self, job: Session | str) -> None:
        """Tell subscribers once more that it failed for good. Raises SessionNotFound, WrongState."""
        self._queue.notify_failure(self._job(job))

    def _job(self, job: Session | str) -> str:
        return job_of(self._client.store, self.name, getattr(job, "id", str(job))).id

    @property
    def _queue(self) -> ExecutionQueue:
        return ExecutionQueue(self._client.store, RetryPolicy(), random.random)


def each_job(  # noqa: PLR0913 - what a list may be narrowed by
    store: Store,
    office: str | None,
    state: SessionState | None,
    role: str,
    times: tuple[datetime | int | None, datetime | int | None],
    wanted: Wanted,
) -> Iterator[SessionData]:
    """The jobs of an office, or of all, page after page as they are asked for. Raises InvalidSetting."""
    after, before = times
    submitted = Period.of(_ms(after, "submitted_after"), _ms(before, "submitted_before"))
    cursor: str | None = None
    while True:
        page = list_jobs(store, office, state, role, cursor, submitted=submitted, wanted=wanted)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _ms(moment: datetime | int | None, name: str) -> int | None:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return int(moment.timestamp() * 1000)
    if moment is None or (isinstance(moment, int) and not isinstance(moment, bool)):
        return moment
    wanted = "it must be a datetime with a time zone, or ms of Redis' clock"
    raise InvalidSetting(name=name, problem=f"{wanted}, got {shown(moment)}")
