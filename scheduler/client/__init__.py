"""The Python client: what an app needs to enqueue sessions, wait for them, and read what they made."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from scheduler import bootstrap
from scheduler.client.handles import Graph, Session, with_ids
from scheduler.client.office import Office, each_job
from scheduler.domain.events import Event
from scheduler.domain.graph import GraphSpec, graph_from
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.domain.subscriber import ALL_EVENTS, check_patterns
from scheduler.domain.wanted import Wanted
from scheduler.operations.finding import Look, each_session
from scheduler.operations.following import EventReader
from scheduler.operations.graphs import submit_graph
from scheduler.operations.submission import submit_sessions
from scheduler.operations.telling import told
from scheduler.settings import load
from scheduler.store.schema import check_server

__all__ = ["Client", "Graph", "Office", "Session"]

logging.getLogger("scheduler").addHandler(logging.NullHandler())


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
        return self.enqueue_many([SessionSpec(callable=callable, args=args, **with_ids(options))])[
            0
        ]

    def enqueue_command(self, command: Sequence[str], **options: Any) -> Session:
        """Enqueue a program with its arguments; otherwise as ``enqueue``."""
        return self.enqueue_many([SessionSpec(command=command, **with_ids(options))])[0]

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

    def jobs(
        self,
        state: SessionState | None = None,
        *,
        role: str = "",
        name: str | None = None,
        agent: str | None = None,
    ) -> Iterator[SessionData]:
        """The jobs of all offices, the last submitted first; narrowed as ``Office.jobs``. Raises InvalidSetting."""
        yield from each_job(self.store, None, state, role, (None, None), Wanted.of(name, agent))

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
        self,
        state: SessionState | None = None,
        *,
        group: str = "default",
        limit: int = 100,
        name: str | None = None,
        agent: str | None = None,
    ) -> Iterator[SessionData]:
        """Sessions of a group, at most ``limit``: READY in the order of the queue, others newest first.

        Without a state of all of them, state after state. ``name`` is a name or a pattern such as
        ``train-*``: as there is no index of names, those of all sessions are read until enough are found.
        ``agent`` are those with a kernel there now, whatever its group. Raises InvalidSetting,
        AgentNotFound.
        """
        groups = [group] if agent is None else self.store.groups.names()
        states = () if state is None else (state,)
        yield from each_session(
            self.store, Look(Wanted.of(name, agent), groups, states, limit=limit)
        )


def _raise(error: Exception) -> None:
    raise error
