"""The placed sessions of a group as the leader knows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from scheduler.domain.records import record
from scheduler.domain.request import Request
from scheduler.domain.session import KernelData, SessionData
from scheduler.domain.states import KERNEL_LIVE, KernelState, SessionState
from scheduler.protocol.names import OrderId, parse_order_id


@record
class PlacedKernel:
    """One kernel of a placement."""

    index: int
    state: KernelState
    agent: str
    boot: str
    slots: Mapping[str, int]
    claim: int = 0  #: number of the agent's claim; 0 when not known
    exit_code: int | None = None
    reason: str = ""
    error: str = ""

    @property
    def live(self) -> bool:
        """Whether it may run, or still be started."""
        return self.state in KERNEL_LIVE


@record
class PlacedSession:
    """One session in SCHEDULED .. TERMINATING."""

    id: str
    state: SessionState
    request: Request
    placement: str
    kernels: tuple[PlacedKernel, ...]
    attempt: int = 0
    retries_from: int = 0
    rescues: int = 0
    reason: str = ""  #: while TERMINATING, a word of STOP_STRENGTH
    says: str = ""
    cancel_requested: str | None = None
    priority: int = 10
    placed_at: int = 0  #: ms of Redis' clock
    running_at: int | None = None  #: ms; its deadline is its timeout after that
    own_timeout_ms: int | None = None  #: set after it was submitted

    @property
    def timeout_ms(self) -> int:
        """How long it may run, ms."""
        return self.own_timeout_ms or self.request.timeout_ms

    @property
    def agents(self) -> list[str]:
        """The agent of each kernel."""
        return [kernel.agent for kernel in self.kernels]

    def order(self, kernel: int) -> str:
        """The id of a kernel's order."""
        return str(OrderId(self.id, kernel, self.placement))

    def with_kernel(self, kernel: PlacedKernel) -> PlacedSession:
        """The session with one kernel changed."""
        kernels = tuple(kernel if kernel.index == k.index else k for k in self.kernels)
        return replace(self, kernels=kernels)


def placed_from(data: SessionData) -> PlacedSession:
    """What the board keeps of a stored session."""
    return PlacedSession(
        id=data.id,
        state=data.state,
        request=with_timeout(data.request, data.timeout_ms),
        placement=data.placement,
        kernels=tuple(_kernel(kernel) for kernel in data.kernels),
        attempt=data.attempt,
        retries_from=data.retries_from,
        rescues=data.rescues,
        reason=data.reason if data.state is SessionState.TERMINATING else "",
        says=data.error if data.state is SessionState.TERMINATING else "",
        cancel_requested=data.cancel_requested,
        priority=data.priority,
        placed_at=data.placed_at or 0,
        running_at=data.running_at,
        own_timeout_ms=data.own_timeout_ms,
    )


def with_timeout(request: Request, timeout_ms: int | None) -> Request:
    """A request with the deadline that its agents hold, whatever its office says since; None for its own."""
    if timeout_ms is None or timeout_ms == request.timeout_ms:
        return request
    return replace(request, timeout_ms=timeout_ms)


def _kernel(kernel: KernelData) -> PlacedKernel:
    return PlacedKernel(
        index=kernel.index,
        state=kernel.state,
        agent=kernel.agent,
        boot=kernel.boot,
        slots=kernel.slots,
        exit_code=kernel.exit_code,
        reason=kernel.reason,
        error=kernel.error,
    )


class Board:
    """Placed sessions, by id and by agent; whoever follows it is told of each change."""

    def __init__(self, changed: Callable[[str, PlacedSession | None], None] | None = None) -> None:
        self._changed = changed
        self._sessions: dict[str, PlacedSession] = {}
        self._by_agent: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[PlacedSession]:
        return iter(list(self._sessions.values()))

    def get(self, session: str) -> PlacedSession | None:
        """One session, or None when it is not placed."""
        return self._sessions.get(session)

    def put(self, session: PlacedSession) -> None:
        """Add a session, or replace what is known of it."""
        if session.id not in self._sessions:
            for agent in session.agents:
                self._by_agent.setdefault(agent, set()).add(session.id)
        self._sessions[session.id] = session
        if self._changed is not None:
            self._changed(session.id, session)

    def drop(self, session: str) -> None:
        """A session is placed no more."""
        found = self._sessions.pop(session, None)
        for agent in found.agents if found else ():
            ids = self._by_agent.get(agent)
            if ids is not None:
                ids.discard(session)
                if not ids:
                    del self._by_agent[agent]
        if found is not None and self._changed is not None:
            self._changed(session, None)

    def on(self, agents: Iterable[str]) -> list[PlacedSession]:
        """Sessions with a kernel on any of the agents."""
        ids = {session for agent in agents for session in self._by_agent.get(agent, ())}
        return [self._sessions[session] for session in sorted(ids)]

    def knows(self, order: str) -> bool:
        """Whether an order is of a placement that stands."""
        named = parse_order_id(order)
        session = self._sessions.get(named.session) if named else None
        return bool(
            named
            and session
            and session.placement == named.placement
            and named.kernel < len(session.kernels)
        )

    def live_on(self, agent: str) -> tuple[int, Counter[str]]:
        """How many live kernels an agent has, and how many of each service."""
        kernels, of_services = 0, Counter[str]()
        for session in self._by_agent.get(agent, ()):
            found = self._sessions[session]
            live = sum(k.live and k.agent == agent for k in found.kernels)
            kernels += live
            if live and (endpoint := found.request.constraints.endpoint):
                of_services[endpoint] += live
        return kernels, of_services
