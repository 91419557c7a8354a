"""Handles on what was submitted: sessions and graphs of them. Reading an attribute asks Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scheduler.domain.errors import InvalidSpec, SessionFailed, WaitTimeout
from scheduler.domain.graph import GraphData
from scheduler.domain.job import revision_of
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.spelling import meant
from scheduler.domain.states import SessionState
from scheduler.operations.explain import Explanation, WhyNot
from scheduler.operations.explaining import explain_session, why_not
from scheduler.operations.graphs import SHOWN, read_graph, wait_for_graph
from scheduler.operations.jobs import at_revision
from scheduler.operations.timeouts import change_timeout

if TYPE_CHECKING:
    from scheduler.client import Client

T = TypeVar("T")

FOREVER: Final = float("inf")
#: What may be said of a session beside what it runs.
_OPTIONS: Final = frozenset(f.name for f in fields(SessionSpec)) - {"callable", "args", "command"}


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
    def revision(self) -> str:
        """Another wherever anything is that is shown of it over HTTP, where it is its ETag. Raises SessionNotFound."""
        return revision_of(self.data)

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

    def cancel(self, *, expected: str | None = None) -> str:
        """Cancel it: ``cancelled`` now, ``accepted`` where it must be stopped first, or ``ended``.

        With ``expected``, as all that has it, only where it is at that ``revision`` still. Raises
        SessionNotFound, SessionRevisionConflict.
        """
        sessions = self._client.store.sessions
        return self._at(expected, lambda seen: sessions.cancel(self.id, seen=seen))

    def retry(self, *, with_dependents: bool = False, expected: str | None = None) -> None:
        """Run it again after it ended badly. Raises WrongState, SessionRevisionConflict."""
        sessions, along = self._client.store.sessions, int(with_dependents)
        self._at(expected, lambda seen: sessions.retry(self.id, with_dependents=along, seen=seen))

    def set_timeout(
        self, timeout: str | float | timedelta | None, *, expected: str | None = None
    ) -> None:
        """Let it run for so long (``"2h"``, seconds), counted from its start; None: as it asked for.

        Holds for the attempt that runs, whose deadline is moved at once, and for all after it.
        Raises InvalidSetting, SessionNotFound, WrongState, SessionRevisionConflict.
        """
        change_timeout(self._client.store, self.id, timeout, expected=expected)

    def release(self) -> int:
        """Let it go on without the dependencies that hold it; how many. Raises WrongState, NotHeld."""
        return self._client.store.sessions.release(self.id)

    def set_priority(self, priority: int, *, expected: str | None = None) -> None:
        """Another priority, 0 to 100: while it waits at once, while it is placed should it wait again.

        Raises InvalidSetting, SessionNotFound, WrongState, SessionRevisionConflict.
        """
        sessions = self._client.store.sessions
        self._at(expected, lambda seen: sessions.set_priority(self.id, priority, seen=seen))

    def _at(self, expected: str | None, change: Callable[[str], T]) -> T:
        return at_revision(self._client.store, self.id, expected, change)

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


def with_ids(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a spec, where sessions given as handles become ids. Raises InvalidSpec for unknown ones."""
    for name in options.keys() - _OPTIONS:
        raise InvalidSpec(
            problem=f"there is no option {name!r}: {meant(name, sorted(_OPTIONS))};"
            " keyword arguments of the callable go into kwargs={...}"
        )
    if "depends_on" not in options or isinstance(options["depends_on"], str):
        return options
    asked = options["depends_on"]
    ids = [getattr(parent, "id", parent) for parent in asked]
    return options | {
        "depends_on": dict(zip(ids, asked.values(), strict=True))
        if isinstance(asked, Mapping)
        else ids
    }
