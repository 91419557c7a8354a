"""The Python client: what an app needs to enqueue sessions, wait for them, and read what they made."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from scheduler import bootstrap
from scheduler.domain.errors import InvalidSpec, SessionFailed, WaitTimeout
from scheduler.domain.events import Event
from scheduler.domain.graph import GraphData, GraphSpec, graph_from
from scheduler.domain.job import JobExecution
from scheduler.domain.office import JobSchedulerConfig
from scheduler.domain.queue import JobQueueStats
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.domain.subscriber import ALL_EVENTS, check_patterns
from scheduler.jobs.execution_queue import ExecutionQueue
from scheduler.operations.explain import Explanation, WhyNot
from scheduler.operations.explaining import explain_session, why_not
from scheduler.operations.following import EventReader
from scheduler.operations.graphs import SHOWN, read_graph, submit_graph, wait_for_graph
from scheduler.operations.jobs import cancel_all, executions, handoff, job_of, list_jobs
from scheduler.operations.offices import office_stats, submit_jobs
from scheduler.operations.submission import submit_sessions
from scheduler.operations.telling import told
from scheduler.operations.timeouts import change_timeout
from scheduler.settings import load
from scheduler.store.schema import check_server

logging.getLogger("scheduler").addHandler(logging.NullHandler())

FOREVER = float("inf")


class Session:
    """A handle on one session. Reading an attribute asks Redis, except ``id``."""

    def __init__(self, client: Client, session_id: str) -> None:
        self._client = client
        self.id = session_id

    def __repr__(self) -> str:
        return f"<Session {self.id}>"

    @property
    def data(self) -> SessionData:
        """The whole record as it is now. Raises SessionNotFound."""
        return self._client.store.sessions.get(self.id)

    @property
    def state(self) -> SessionState:
        """Where it is in its life now. Raises SessionNotFound."""
        return self.data.state

    @property
    def result(self) -> Any:
        """What the callable returned, or None: not ended yet, not well, or a command.

        Raises SessionNotFound.
        """
        return self._client.store.sessions.result(self.id)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the main kernel, or None while there is none."""
        kernels = self.data.kernels
        return kernels[0].exit_code if kernels else None

    def wait(self, timeout: float = FOREVER) -> SessionData:
        """Wait until it has ended, at most ``timeout`` seconds; the record as it is then.

        Raises WaitTimeout, SessionNotFound. How it ended is in ``state``; see ``get`` for success only.
        """
        data = self._client.store.sessions.wait(self.id, timeout)
        if not data.ended:
            raise WaitTimeout(session=self.id, seconds=timeout, state=data.state)
        return data

    def get(self, timeout: float = FOREVER) -> Any:
        """Wait for success and return the result. Raises SessionFailed, WaitTimeout, SessionNotFound."""
        data = self.wait(timeout)
        if data.state is not SessionState.SUCCEEDED:
            raise SessionFailed(
                session=self.id, state=data.state, reason=data.error.strip() or data.reason
            )
        return self.result

    def logs(self, *, attempt: int | None = None, kernel: int = 0) -> str:
        """What the kernel has printed so far, in the last attempt or the one named. Raises LogsNotFound."""
        return "".join(
            line.text for line in self._client.store.logs.read(self.data, attempt, kernel)
        )

    def cancel(self) -> str:
        """Cancel it: ``cancelled`` now, ``accepted`` where it must be stopped first, or ``ended``."""
        return self._client.store.sessions.cancel(self.id)

    def retry(self, *, with_dependents: bool = False) -> None:
        """Run it again after it ended badly. Raises WrongState."""
        self._client.store.sessions.retry(self.id, with_dependents=int(with_dependents))

    def set_timeout(self, timeout: str | float | timedelta | None) -> None:
        """Let it run for so long (``"2h"``, seconds), counted from its start; None: as it asked for.

        Holds for the attempt that runs, whose deadline is moved at once, and for all after it.
        Raises InvalidSpec, SessionNotFound, WrongState.
        """
        change_timeout(self._client.store, self.id, timeout)

    def release(self) -> int:
        """Let it go on without the dependencies that hold it; how many. Raises WrongState, NotHeld."""
        return self._client.store.sessions.release(self.id)

    def set_priority(self, priority: int) -> None:
        """Another priority, 0 to 100: while it waits at once, while it is placed should it wait again.

        Raises InvalidSpec, SessionNotFound, WrongState.
        """
        self._client.store.sessions.set_priority(self.id, priority)

    def explain(self, *, agents: int = 0) -> Explanation:
        """Why it does not run now, what would cure that, and its position in the queue.

        With ``agents``, also why not on so many of its group's agents, nearest miss first. Raises
        SessionNotFound.
        """
        return explain_session(self._client.store, self.id, agents=agents)

    def why_not(self, agent: str) -> WhyNot:
        """Why it does not run on one agent, and the smallest change that would let it run there.

        Raises SessionNotFound, AgentNotFound.
        """
        return why_not(self._client.store, self.id, agent)


class Graph:
    """A handle on a graph of sessions; ``jobs`` are its sessions by their names in there."""

    def __init__(self, client: Client, data: GraphData) -> None:
        self._client = client
        self._data = data
        self.id = data.id
        self.jobs = {name: Session(client, session) for name, session in data.sessions.items()}

    def __repr__(self) -> str:
        return f"<Graph {self.id}>"

    def show(self, *, limit: int = SHOWN) -> GraphData:
        """How its jobs stand now, and of the first ``limit`` of them what they need. Raises GraphNotFound."""
        return read_graph(self._client.store, self.id, limit=limit)

    def wait(self, timeout: float = FOREVER) -> Mapping[str, int]:
        """Wait until all jobs have ended, at most ``timeout`` s; how many ended in which state. Raises WaitTimeout."""
        return wait_for_graph(self._client.store, self._data, timeout)

    def cancel(self) -> int:
        """Cancel all jobs that have not ended; how many. Raises GraphNotFound."""
        return self._client.store.graphs.cancel(self.id, "its graph was cancelled")


class Client:
    """Enqueues sessions. Synchronous; one client may be used by many threads.

    ``redis_url`` and ``namespace`` default to SCHEDULER_REDIS_URL and SCHEDULER_NAMESPACE. Every
    method raises StoreUnavailable when Redis does not answer.
    """

    def __init__(self, redis_url: str | None = None, namespace: str | None = None) -> None:
        self.store = bootstrap.open_for_app(load(redis_url=redis_url, namespace=namespace))
        self._may_write = False  #: whether the server was looked at

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.store.client.close()

    def enqueue(self, callable: str, /, *args: Any, **options: Any) -> Session:  # noqa: A002 - the word for it
        """Enqueue ``"package.module:function"`` with JSON arguments.

        ``options`` are the fields of SessionSpec (slots, priority, depends_on, timeout, retries,
        idempotency_key, ...); keyword arguments of the callable go into ``kwargs={...}``.
        Raises InvalidSpec, InvalidSlots and what ``enqueue_many`` raises.
        """
        return self.enqueue_many([SessionSpec(callable=callable, args=args, **_with_ids(options))])[
            0
        ]

    def enqueue_command(self, command: Sequence[str], **options: Any) -> Session:
        """Enqueue a program with its arguments; otherwise as ``enqueue``."""
        return self.enqueue_many([SessionSpec(command=command, **_with_ids(options))])[0]

    def enqueue_many(self, specs: Sequence[SessionSpec]) -> list[Session]:
        """Enqueue sessions, one round trip per two hundred; each two hundred wholly or not at all.

        Of more than two hundred, all are checked before the first is written, so that bad input
        writes nothing. Only what changes meanwhile (a parent is forgotten, memory runs short) can
        still refuse a later two hundred, when the earlier ones are written; the same call repeated
        with idempotency keys goes on where it ended. Raises GroupNotFound, DependencyNotFound,
        DesignatedAgentNotFound, UnknownPlugin, IdempotencyConflict, Unsatisfiable, RedisFull; the
        first call also RedisUnsuitable, as of a Redis that evicts.
        """
        self.check_server()
        return [Session(self, session) for session in submit_sessions(self.store, specs)]

    def check_server(self) -> None:
        """Look once whether Redis may be written to. Raises RedisUnsuitable."""
        if not self._may_write:
            check_server(self.store.client)
            self._may_write = True

    def office(self, name: str) -> Office:
        """A handle on an office; nothing is asked yet."""
        return Office(self, name)

    def submit_graph(self, graph: GraphSpec | Mapping[str, Any]) -> Graph:
        """Submit sessions that depend on each other by name: all of them or nothing (``docs/graphs.md``).

        A mapping is read as a file is. Raises InvalidGraph, GraphGivenUp, and what ``enqueue_many`` raises.
        """
        spec = graph if isinstance(graph, GraphSpec) else graph_from(graph)
        self.check_server()
        return Graph(self, submit_graph(self.store, spec))

    def graph(self, graph_id: str) -> Graph:
        """A handle on a graph that was submitted before. Raises GraphNotFound."""
        return Graph(self, self.store.graphs.with_sessions(self.store.graphs.read(graph_id)))

    def events(self, *names: str, since: str | None = None) -> Iterator[Event]:
        """What happens, in order, as typed events; waits for more, for ever.

        ``names`` are names or patterns such as ``session.*``; none is all. What is asked for as
        ``job_failed`` or ``job_*`` comes as a `SchedulerEvent`, with the job's office and role.
        ``since`` is the id of an event to go on after, as of the last one that was seen; None is from
        now on. Raises EventGap where events after it are no longer kept, InvalidSetting for what
        names no event.
        """
        wanted = names or ALL_EVENTS
        check_patterns(wanted)
        reader = EventReader(self.store.events, since or self.store.events.last_id(), _raise)
        while True:
            yield from told(self.store.sessions, reader.wait(), wanted)

    def session(self, session_id: str) -> Session:
        """A handle on a session that was enqueued before; nothing is asked yet."""
        return Session(self, session_id)

    def sessions(
        self, state: SessionState, *, group: str = "default", limit: int = 100
    ) -> Iterator[SessionData]:
        """Sessions of a group in one state: READY in the order of the queue, others newest first."""
        yield from self.store.sessions.many(self.store.sessions.list_ids(group, state, limit=limit))


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

    def delete(self) -> None:
        """Forget it. Raises OfficeNotFound; OfficeInUse while a job of it has not ended."""
        self._client.store.offices.delete(self.name)

    def submit(
        self, work: str | SessionSpec, /, *args: Any, role: str = "", **options: Any
    ) -> Session:
        """Submit a job: ``"package.module:function"`` with arguments and fields of SessionSpec, or a spec.

        Timeout, retries and back-off that are not given are what the office says when it runs.
        Raises OfficeNotFound, InvalidSpec, and what ``Client.enqueue_many`` raises.
        """
        if isinstance(work, str):
            work = SessionSpec(callable=work, args=args, **_with_ids(options))
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

    def jobs(self, state: SessionState | None = None, *, role: str = "") -> Iterator[SessionData]:
        """Its jobs, the last submitted first, of one state and one role where given."""
        cursor: str | None = None
        while True:
            page = list_jobs(self._client.store, self.name, state, role, cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def executions(self, job: Session | str) -> list[JobExecution]:
        """The tries to run a job of it, oldest first. Raises SessionNotFound."""
        return executions(self._client.store, self.name, getattr(job, "id", str(job)))

    def cancel_all(self, state: SessionState | None = None, *, role: str = "") -> int:
        """Cancel the jobs it has now, of one state and one role where given; how many that were."""
        return cancel_all(self._client.store, self.name, state, role)

    def handoff(self, job: Session | str, role: str) -> None:
        """Give a job that waits, or that may be retried, another role.

        Raises SessionNotFound, WrongState, OfficeNotFound, InvalidSpec, PendingLimitReached.
        """
        handoff(self._client.store, self.name, getattr(job, "id", str(job)), role)

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


def _raise(error: Exception) -> None:
    raise error


def _with_ids(options: dict[str, Any]) -> dict[str, Any]:
    """Sessions given as handles become ids."""
    if "depends_on" not in options or isinstance(options["depends_on"], str):
        return options
    asked = options["depends_on"]
    ids = [getattr(parent, "id", parent) for parent in asked]
    return options | {
        "depends_on": dict(zip(ids, asked.values(), strict=True))
        if isinstance(asked, Mapping)
        else ids
    }
