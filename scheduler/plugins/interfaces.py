"""What a plugin implements; the names are those of the seeds (000, 001)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from scheduler.domain.constraints import ANYWHERE, Constraints
from scheduler.domain.quota import all_over_slots
from scheduler.domain.records import record
from scheduler.domain.request import Request
from scheduler.domain.scope import Scope, ScopeUse
from scheduler.domain.share import Usage
from scheduler.domain.slots import by_family, total
from scheduler.domain.verdict import Cure, Excess


class Candidate(Protocol):
    """A waiting session, as little as deciding needs of it."""

    @property
    def id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def request(self) -> Request: ...
    @property
    def waiting_since(self) -> int:
        """When it became ready, ms of Redis' clock; being put back by a lost agent does not begin it anew."""
        ...


class RunningKernel(Protocol):
    """A kernel of a placed session."""

    @property
    def index(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def slots(self) -> Mapping[str, int]: ...


class Running(Protocol):
    """A placed session of the group."""

    @property
    def id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def request(self) -> Request: ...
    @property
    def kernels(self) -> Sequence[RunningKernel]: ...


def _nobody() -> Iterable[Running]:
    return ()


@dataclass(frozen=True, slots=True)
class SchedulingContext:
    """What is true when a cycle begins, beside the waiting sessions (seed 001); nobody changes it.

    ``held`` goes on to be true within the cycle: it has a placement in it before the scheduler is told.
    """

    now_ms: int = 0  #: Redis' clock
    capacity: Mapping[str, int] = field(default_factory=dict)  #: of the group's agents, by family
    #: By owner: slots by family that its placed sessions of this group hold.
    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    usage: Usage | None = None  #: for schedulers that look back; the same until it is read anew

    #: The placed sessions of this group; made when it is asked for, as there may be thousands.
    existing: Callable[[], Iterable[Running]] = _nobody


@dataclass(frozen=True, slots=True)
class OwnerShare:
    """How an owner stands beside others, for people."""

    order: tuple[float, ...]  #: who goes first: lower first
    facts: Mapping[str, float]  #: what that comes of, by name


class AbstractScheduler(ABC):
    """Decides in which order waiting sessions are tried.

    The cycle keeps sessions with equal requests in one line and shows the scheduler the head of each
    line; within a line the rank decides. So a cycle costs what is placed, not what waits.
    """

    name: ClassVar[str]
    #: How many days of use it looks back on, today included, at most 60; 0: it is given none.
    usage_days: int = 0
    #: Whether, where a cycle ended at its limit and nothing changed since but by that cycle, the next may go on
    #: with `pick_session` at once: the order would be the one it stands at. Else each begins with `prioritize`.
    resumes: bool = False

    def __init__(self, opts: Mapping[str, Any]) -> None:  # noqa: B027 - one without options needs none
        """Take the group's options for this scheduler. Raises InvalidSetting for one it does not know."""

    @abstractmethod
    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        """The place of a session within its line: lower first. Must not change while it waits."""

    @abstractmethod
    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        """Begin a cycle with the head of every line that is awake."""

    @abstractmethod
    def pick_session(self) -> Candidate | None:
        """Take the session to try next; None ends the cycle."""

    @abstractmethod
    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        """A session was placed; its line's next head may be picked from now on."""

    def update_refusal(self, refused: Candidate) -> None:  # noqa: B027 - most count no refusals
        """A session that was picked was refused; its line is picked no more in this cycle."""

    #: How old what is kept may be, ms; 0: it is written together with the placements it belongs to.
    keep_every_ms: ClassVar[int] = 0

    def state(self) -> str | None:
        """What the next leader goes on from, as text; None where nothing needs to be kept."""
        return None

    def restore(self, text: str) -> None:
        """Go on from what a scheduler of this name kept. Raises ValueError for what it cannot read."""
        raise ValueError(f"{self.name} keeps nothing, got {text[:40]!r}")

    def rehearse(self) -> AbstractScheduler | None:
        """A copy that goes through a cycle without consequences here, to tell sessions their position.

        None where there is none; then they are told that by priority and submission.
        """
        return None

    def share_of(self, context: SchedulingContext, owner: str) -> OwnerShare | None:  # noqa: ARG002 - for those who do
        """How an owner stands, for people; None where whose session it is does not count."""
        return None


@dataclass(frozen=True, slots=True)
class Need:
    """What kernels that go to one agent together ask of it."""

    kernels: tuple[Mapping[str, int], ...]
    slots: Mapping[str, int]  #: summed over the kernels
    key: tuple[object, ...]  #: equal for equal needs
    families: tuple[str, ...]  #: what is asked for, accelerators before cpu before mem
    plain: bool  #: one kernel without devices: where the numbers fit, it fits
    constraints: Constraints = ANYWHERE
    filtered: bool = False  #: whether the constraints tell agents apart
    preferences: int = 0  #: how many of its wishes an agent must meet
    #: One kernel that takes devices of any model: it fits where the largest share and the number of
    #: whole devices do.
    counted: bool = field(init=False)

    def __post_init__(self) -> None:
        counted = len(self.kernels) == 1 and not self.constraints.models
        object.__setattr__(self, "counted", counted)

    @classmethod
    def of(cls, kernels: Sequence[Mapping[str, int]], constraints: Constraints = ANYWHERE) -> Need:
        """The need of some kernels."""
        key: tuple[object, ...] = tuple(tuple(sorted(kernel.items())) for kernel in kernels)
        if constraints is not ANYWHERE:
            key = (*key, constraints)
        slots = total(kernels)
        families = tuple(sorted(by_family(slots), key=_priority))
        plain = len(kernels) == 1 and not any("." in name for name in slots)
        return cls(tuple(kernels), slots, key, families, plain, constraints, constraints.filters)

    def preferring(self, preferences: int) -> Need:
        """The same of agents that meet so many of its wishes; selectors rank them by themselves."""
        return replace(self, preferences=preferences, key=(*self.key, preferences))


def _priority(family: str) -> tuple[int, str]:
    return ({"cpu": 1, "mem": 2, "disk": 3}.get(family, 0), family)


class AgentView(Protocol):
    """The agents of a group as a selector sees them, by index."""

    def __len__(self) -> int: ...

    def fits(self, need: Need) -> Sequence[int]:
        """Indices of agents that take work and have room, in no special order."""
        ...

    def has_room(self, index: int, need: Need) -> bool:
        """Whether one agent takes work and has room now."""
        ...

    def free(self, index: int) -> Mapping[str, int]:
        """An agent's free device slots."""
        ...

    def capacity(self, index: int) -> Mapping[str, int]:
        """An agent's device slots in total."""
        ...

    def free_by_family(self, index: int) -> Mapping[str, int]:
        """An agent's free slots, devices summed by family; what it does not have is missing."""
        ...

    def agent_id(self, index: int) -> str:
        """An agent's id, by which ties are broken."""
        ...

    def labels(self, index: int) -> Mapping[str, str]:
        """An agent's labels."""
        ...

    def models(self, index: int) -> Mapping[str, str]:
        """The models of an agent's devices, by family, or by device slot where they differ."""
        ...

    def kernels_left(self, index: int) -> int:
        """How many more kernels an agent takes, whatever they ask; 0 where it takes no work."""
        ...

    def kernels_of_endpoint(self, index: int, endpoint: str) -> int:
        """How many kernels of a service an agent runs."""
        ...

    def bind(self, index: int, need: Need) -> list[dict[str, int]] | None:
        """The device slots each kernel would get by the usual rule; None where they do not all fit."""
        ...

    @property
    def version(self) -> int:
        """Counts changes of the view."""
        ...

    def changed_since(self, version: int) -> Sequence[int] | None:
        """Indices that changed since a version, or None when that is too long ago to know."""
        ...


class AbstractAgentSelector(ABC):
    """Decides which agent gets a kernel."""

    name: ClassVar[str]

    def __init__(self, opts: Mapping[str, Any]) -> None:  # noqa: B027 - one without options needs none
        """Take the group's options for this selector. Raises InvalidSetting for one it does not know."""

    def assign_agent_for_session(self, view: AgentView, need: Need) -> int | None:
        """The agent for all kernels of a single-node session, whose slots are summed; None if no agent fits."""
        return self.assign_agent_for_kernel(view, need)

    @abstractmethod
    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:
        """The agent for one kernel; None if no agent fits."""

    def choose_devices(
        self, view: AgentView, index: int, need: Need
    ) -> Sequence[dict[str, int]] | None:
        """The device slots each kernel of a need gets on the agent that was assigned.

        None where they do not all fit. Unless overridden: shares go to the fullest device that has
        room, whole devices are taken in the order of their indices.
        """
        return view.bind(index, need)

    def learn(self, arrived: Sequence[Candidate]) -> None:  # noqa: B027 - most learn nothing
        """Sessions began to wait since the last cycle; called before a cycle places anything."""

    #: How old what is kept may be, ms; 0: it is written together with the placements it belongs to.
    keep_every_ms: ClassVar[int] = 0

    def state(self) -> str | None:
        """What the next leader goes on from, as text; None where nothing needs to be kept."""
        return None

    def restore(self, text: str) -> None:
        """Go on from what a selector of this name kept. Raises ValueError for what it cannot read."""
        raise ValueError(f"{self.name} keeps nothing, got {text[:40]!r}")


Assign = Callable[[AgentView, Need], int | None]


@record
class KernelAgentBinding:
    """One kernel of a session, the agent it goes to, and the device slots it gets there."""

    kernel: int
    agent: str
    boot: str
    slots: dict[str, int]


class Room(Protocol):
    """Where one session is tried: what it takes is given back unless all its kernels find room."""

    @property
    def agents(self) -> AgentView:
        """The agents, without what was taken here so far."""
        ...

    def choose(self, assign: Assign, need: Need, *, without: Sequence[int] = ()) -> int | None:
        """The best agent for a need by a selector's method; those it prefers are tried first.

        ``without`` are agents that must not get it.
        """
        ...

    def take(
        self, index: int, need: Need, kernels: Sequence[int]
    ) -> list[KernelAgentBinding] | None:
        """Give the kernels of a need to an agent; None if they do not fit there after all."""
        ...


class AbstractClusterMode(ABC):
    """Decides how the kernels of a session are spread over agents."""

    name: ClassVar[str]

    @abstractmethod
    def needs(self, request: Request) -> Sequence[Need]:
        """What is asked of one agent at a time, in the order of the kernels.

        One that no idle agent of the group could hold ends the session.
        """

    @abstractmethod
    def schedule(
        self, needs: Sequence[Need], room: Room, selector: AbstractAgentSelector
    ) -> Sequence[KernelAgentBinding] | None:
        """A binding for every kernel, or None; what was taken for some of them is given back then."""


class SchedulerValidationError(Exception):
    """A rule says no; the message is for people, the cures say what could change it.

    ``excesses`` are the numbers of the message for programs: what is used, asked, and the limit.
    """

    def __init__(self, message: str, *cures: Cure, excesses: Sequence[Excess] = ()) -> None:
        super().__init__(message)
        self.cures = cures
        self.excesses = tuple(excesses)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A dependency that is not met yet."""

    id: str
    name: str
    state: str
    held: bool = (
        False  #: it ended without success, and what depends on it waits for somebody's word
    )


@record
class ValidatorContext:
    """All a validator may look at, loaded beforehand; it asks nobody."""

    session: str
    request: Request
    now_ms: int
    not_before: int | None = None
    unmet: Sequence[Dependency] = ()
    #: The scopes of the request, in its order. What waits in them counts this session, too, once it waits.
    scopes: Mapping[Scope, ScopeUse] = field(default_factory=dict)
    submitting: bool = False  #: it does not wait yet: whether it may is the question
    _exceeded: list[dict[Scope, str]] = field(default_factory=list, init=False, compare=False)

    @property
    def exceeded(self) -> Mapping[Scope, str]:
        """The scopes of which slots would be exceeded, and which; worked out once for all rules about slots."""
        if not self._exceeded:
            self._exceeded.append(all_over_slots(self.scopes, self.request.families))
        return self._exceeded[0]


class AbstractValidator(ABC):
    """One rule about whether a session may run now."""

    name: ClassVar[str]

    @abstractmethod
    def validate(self, context: ValidatorContext) -> None:
        """Return if it may; raise a SchedulerValidationError if not."""
