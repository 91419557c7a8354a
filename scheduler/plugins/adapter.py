"""Lets schedulers and selectors written against the seeds' interfaces work in a cycle (K21)."""

from __future__ import annotations

import inspect
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.ids import submitted_ms
from scheduler.domain.request import Request
from scheduler.domain.slots import asked_by_family, by_family
from scheduler.domain.states import SessionState
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractScheduler,
    AgentView,
    Candidate,
    Need,
    Running,
    SchedulingContext,
)
from scheduler.plugins.seeds import SeedAgent, SeedKernel, SeedSession, SeedWork


def adapt_scheduler(
    made: Callable[..., Any], name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractScheduler:
    """A scheduler of the seeds, by its class. Raises InvalidSetting, and whatever its constructor does."""
    plugin = _construct(made, name, opts, config)
    _demand(plugin, name, "pick_session")
    adapted: AbstractScheduler = type(name, (AdaptedScheduler,), {"name": name})(plugin)
    return adapted


def adapt_selector(
    made: Callable[..., Any], name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractAgentSelector:
    """A selector of the seeds, by its class. Raises InvalidSetting, and whatever its constructor does."""
    plugin = _construct(made, name, opts, config)
    _demand(plugin, name, "assign_agent_for_session", "assign_agent_for_kernel")
    adapted: AbstractAgentSelector = type(name, (AdaptedAgentSelector,), {"name": name})(plugin)
    return adapted


def _construct(
    made: Callable[..., Any], name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> Any:
    try:
        inspect.signature(made).bind(opts, config)
    except (TypeError, ValueError):
        if config:
            raise InvalidSetting(name=name, problem="it takes no options") from None
        return made()
    return made(opts, config)


def _demand(plugin: object, name: str, *methods: str) -> None:
    for method in methods:
        if not callable(getattr(plugin, method, None)):
            raise InvalidSetting(name=name, problem=f"it has no method {method}()")


class AdaptedScheduler(AbstractScheduler):
    """Asks a scheduler of the seeds with the heads of all lines, best priority and oldest first.

    Sessions with equal requests stay in that order among themselves. It looks at every head and at
    every placed session for each session it picks, as the seeds' interface wants it.
    """

    name: ClassVar[str]

    def __init__(self, plugin: Any) -> None:
        super().__init__({})
        self._prioritize = _method(plugin, "prioritize")
        self._pick = _method(plugin, "pick_session")
        self._update = _method(plugin, "update_allocation")
        self._context = SchedulingContext()
        self._heads: list[tuple[tuple[int, ...], Candidate]] = []
        self._views: dict[str, SeedSession] = {}
        self._band: list[SeedSession] = []
        self._existing: dict[str, SeedSession] | None = None
        self._placed: dict[str, SeedSession] = {}
        self._seen: dict[str, tuple[Running, SeedSession]] = {}

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (-candidate.priority, candidate.seq)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self._context, self._existing = context, None
        self._heads = sorted((self.rank(head), head) for head in heads)
        self._views = {head.id: _pending(head) for _, head in self._heads}
        self._band = []

    def pick_session(self) -> Candidate | None:
        while self._heads:
            if not self._band:
                self._band = self._next_band()
                if not self._band:
                    return None
            shown = (list(self._band), [*self._placed_before().values()])
            picked = self._pick(self._context, self._context.capacity, *shown)
            if picked is not None:
                return self._take(str(getattr(picked, "id", picked)))
            passed = {session.id for session in self._band}
            self._heads = [entry for entry in self._heads if entry[1].id not in passed]
            self._band = []
        return None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        view = _pending(placed, status=SessionState.SCHEDULED)
        self._placed_before()[placed.id] = self._placed[placed.id] = view
        if successor is not None:
            insort(self._heads, (self.rank(successor), successor))
            self._views[successor.id] = _pending(successor)
            # It may belong before what is left of these.
            self._band = []
        self._update(self._context, view)

    def _next_band(self) -> list[SeedSession]:
        pending = [self._views[head.id] for _, head in self._heads]
        answer = self._prioritize(self._context, pending)
        if answer is None:
            return pending
        match answer:
            case (int(), list() | tuple() as sessions):
                answer = sessions  # with the priority they have
            case _:
                pass
        return [self._views[session.id] for session in answer]

    def _take(self, session: str) -> Candidate:
        left = [view for view in self._band if view.id != session]
        for index, (_, head) in enumerate(self._heads):
            if head.id == session and len(left) < len(self._band):
                del self._heads[index]
                self._band = left
                return head
        raise ValueError(f"it picked {session!r:.80}, which is not among what it was shown")

    def _placed_before(self) -> dict[str, SeedSession]:
        """Views of what is placed, kept from cycle to cycle where nothing changed."""
        if self._existing is None:
            former, self._seen = self._seen, {}
            for session in self._context.existing():
                known = former.get(session.id)
                seen = known if known and known[0] is session else (session, _running(session))
                self._seen[session.id] = seen
            # What the last cycle placed may be under way yet.
            self._existing = self._placed | {name: view for name, (_, view) in self._seen.items()}
            self._placed = {}
        return self._existing


class AdaptedAgentSelector(AbstractAgentSelector):
    """Asks a selector of the seeds with the agents that have room; architecture and limits were looked at."""

    name: ClassVar[str]

    def __init__(self, plugin: Any) -> None:
        super().__init__({})
        self._for_session = _method(plugin, "assign_agent_for_session")
        self._for_kernel = _method(plugin, "assign_agent_for_kernel")
        self._views: dict[int, SeedAgent] = {}
        self._version = 0

    def assign_agent_for_session(self, view: AgentView, need: Need) -> int | None:
        kernels = tuple(
            SeedKernel(index, asked_by_family([kernel]))
            for index, kernel in enumerate(need.kernels)
        )
        work = SeedWork(asked_by_family(need.kernels), kernels)
        return self._choose(view, need, lambda agents: self._for_session(None, agents, work))

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:
        kernel = SeedKernel(0, asked_by_family(need.kernels))
        return self._choose(view, need, lambda agents: self._for_kernel(None, agents, kernel))

    def _choose(
        self, view: AgentView, need: Need, ask: Callable[[Sequence[SeedAgent]], Any]
    ) -> int | None:
        changed = view.changed_since(self._version)
        for index in self._views.copy() if changed is None else changed:
            self._views.pop(index, None)
        self._version = view.version
        agents = {self._view(view, index).id: index for index in view.fits(need)}
        if not agents:
            return None
        chosen = ask([self._view(view, index) for index in agents.values()])
        if chosen is None:
            return None
        name = str(getattr(chosen, "id", chosen))
        if name not in agents:
            raise ValueError(f"selector {self.name!r} chose {name!r:.80}, which it was not shown")
        return agents[name]

    def _view(self, view: AgentView, index: int) -> SeedAgent:
        found = self._views.get(index)
        if found is None:
            total, free = by_family(view.capacity(index)), view.free_by_family(index)
            occupied = {family: total[family] - free.get(family, 0) for family in total}
            agent = view.agent_id(index)
            found = self._views[index] = SeedAgent(agent, total, occupied, view.labels(index))
        return found


def _method(plugin: Any, name: str) -> Callable[..., Any]:
    """A method that is called with a context first; it gets it if it has such a parameter."""
    method = getattr(plugin, name, None)
    if method is None:
        return lambda *_: None
    wants = "context" in inspect.signature(method).parameters

    def call(context: SchedulingContext | None, *arguments: object) -> Any:
        answer = method(*arguments, context=context) if wants else method(*arguments)
        return _driven(answer) if inspect.iscoroutine(answer) else answer

    return call


def _driven(answer: Any) -> Any:
    """What a coroutine answers that waits for nothing."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value
    answer.close()
    raise ValueError("it waits for something, which a decision may not")


def _pending(candidate: Candidate, status: str = SessionState.PENDING) -> SeedSession:
    request = candidate.request
    kernels = tuple(
        SeedKernel(index, asked_by_family([kernel]), status=status)
        for index, kernel in enumerate(request.kernels)
    )
    occupies = {} if status == SessionState.PENDING else request.families
    return _session((candidate.id, candidate.priority, status), request, occupies, kernels)


def _running(session: Running) -> SeedSession:
    asked = session.request.kernels
    kernels = tuple(
        SeedKernel(k.index, asked_by_family([asked[k.index]]), k.agent, str(k.state))
        for k in session.kernels
    )
    occupies: dict[str, int] = {}
    for kernel in session.kernels:
        for family, amount in by_family(kernel.slots).items():
            occupies[family] = occupies.get(family, 0) + amount
    facts = (session.id, session.priority, str(session.state))
    return _session(facts, session.request, occupies, kernels)


def _session(
    facts: tuple[str, int, str],
    request: Request,
    occupies: Mapping[str, int],
    kernels: tuple[SeedKernel, ...],
) -> SeedSession:
    session, priority, status = facts
    return SeedSession(
        id=session,
        access_key=request.keypair,
        user=request.owner,
        priority=priority,
        created_at=datetime.fromtimestamp(submitted_ms(session) / 1000, UTC),
        status=status,
        session_type=str(request.session_type),
        cluster_mode=request.cluster_mode,
        private=request.private,
        requested_slots=request.families,
        occupying_slots=occupies,
        kernels=kernels,
        scopes=dict(request.scopes),
    )
