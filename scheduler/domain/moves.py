"""The leader's moves: what it may write, one class per verb, as the scripts under lua/move read them.

A move is built from a snapshot and checked again by its script; the word it answers says what became
of it. Times are ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scheduler.domain.records import record


@dataclass(frozen=True, slots=True)
class Move:
    """Something the leader wants written."""

    verb: ClassVar[str]
    weight: ClassVar[int] = 1  #: how many usual moves it takes as long as

    def wire(self) -> dict[str, Any]:
        """The move as its script reads it."""
        return {"verb": self.verb} | {
            name: getattr(self, name) for name in self.__dataclass_fields__
        }


@record
class Place:
    """READY -> SCHEDULED. Placements travel by themselves, see `leader/place`."""

    session: str
    placement: str
    agents: str  #: ids, space-separated, for people
    kernels: Sequence[Mapping[str, Any]]  #: [{agent, boot, slots, order}]
    held: str  #: what it charges its scopes, as JSON text: {scopes, slots by family}; kept until given back
    timer: int
    timeout: int = 0  #: of a job, how long it may run, as its office says it now; 0 otherwise


@dataclass(frozen=True, slots=True)
class Claim(Move):
    """A kernel's order was taken."""

    verb: ClassVar[str] = "claim"
    session: str
    placement: str
    kernel: int
    agents: Sequence[str]
    timer: int
    timeout: int


@dataclass(frozen=True, slots=True)
class Up(Move):
    """A kernel's process runs."""

    verb: ClassVar[str] = "up"
    session: str
    placement: str
    kernel: int
    last: int
    timer: int


@dataclass(frozen=True, slots=True)
class Over(Move):
    """A kernel ended."""

    verb: ClassVar[str] = "over"
    session: str
    placement: str
    kernel: int
    exit_code: str
    signal: str
    reason: str
    error: str
    result: str  #: what the main kernel returned, as JSON text, or ""


@dataclass(frozen=True, slots=True)
class Advance(Move):
    """Claim, Up, Over and Finish, or some of them in a row, of a session with one kernel."""

    verb: ClassVar[str] = "advance"
    weight: ClassVar[int] = 2
    session: str
    placement: str
    begins: str  #: the state the kernel is in: ORDERED, CLAIMED or UP
    ends: str  #: the state it comes to: CLAIMED, UP, or ENDED, which here is SUCCEEDED
    agents: Sequence[str]
    barrier: int
    timeout: int
    deadline: int
    result: str


@dataclass(frozen=True, slots=True)
class Lose(Move):
    """A kernel's agent is certainly dead."""

    verb: ClassVar[str] = "lose"
    session: str
    placement: str
    kernel: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop(Move):
    """Stop a placed session, withdrawing what was not claimed."""

    verb: ClassVar[str] = "stop"
    session: str
    placement: str
    reason: str  #: a word of STOP_STRENGTH
    says: str  #: a sentence for people
    kernels: Sequence[
        Mapping[str, Any]
    ]  #: [{index, agent, stop}], the kernels that may still be alive
    agents: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kill(Move):
    """Stop a kernel that no session knows of, such as one whose placement a failover lost."""

    verb: ClassVar[str] = "kill"
    agent: str
    order: str
    stop: str


@dataclass(frozen=True, slots=True)
class Finish(Move):
    """All kernels of a placement are over."""

    verb: ClassVar[str] = "finish"
    session: str
    placement: str
    edge: str  #: end or rescue
    target: str
    reason: str
    error: str
    told: str  #: the line of the error that its row in the history keeps
    rescued: int  #: 1 if this costs a rescue
    uncounted: int  #: 1 if the attempt does not count against the retries
    delay: int  #: back-off of RETRYING


@dataclass(frozen=True, slots=True)
class Timer(Move):
    """A placed session has another deadline."""

    verb: ClassVar[str] = "timer"
    session: str
    placement: str
    timeout: int  #: counted from when it runs
    slack: int  #: by which the leader is later than the agents
    kernels: Sequence[Mapping[str, Any]]  #: [{index, agent, text}], what agents are told


@dataclass(frozen=True, slots=True)
class Settle(Move):
    """A waiting session's time has come, or it can never run."""

    verb: ClassVar[str] = "settle"
    session: str
    group: str
    edge: str  #: release, requeue, expire or refuse
    reason: str


@dataclass(frozen=True, slots=True)
class Resolve(Move):
    """Tell dependents of an ended session."""

    verb: ClassVar[str] = "resolve"
    session: str
    group: str
    limit: int = 200  #: for all moves of a script that tell dependents or show graphs, together


@dataclass(frozen=True, slots=True)
class Unroll(Move):
    """Make the sessions of a sealed graph seen, and then its roots READY."""

    verb: ClassVar[str] = "unroll"
    graph: str
    group: str
    limit: int


@dataclass(frozen=True, slots=True)
class Heal(Move):
    """Put right what a PENDING session should have been told."""

    verb: ClassVar[str] = "heal"
    session: str
    group: str
    parents: Sequence[str]  #: that ended or are gone, or do not know that it waits; at most 200
    unmet: str  #: how many it said are not met, as it was read
    found: int  #: how many were not met, or -1


@dataclass(frozen=True, slots=True)
class Admit(Move):
    """A boot of an agent may take orders."""

    verb: ClassVar[str] = "admit"
    agent: str
    boot: str
    group: str
    fields: Sequence[str]  #: name, value, name, value ... of the record
    capacity: Mapping[str, int]
    reachable: str  #: largest idle shapes of the group as JSON text


@dataclass(frozen=True, slots=True)
class Answer(Move):
    """A boot waits, or is refused."""

    verb: ClassVar[str] = "answer"
    agent: str
    group: str
    boot: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mark(Move):
    """How the leader sees an agent."""

    verb: ClassVar[str] = "mark"
    agent: str
    boot: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note(Move):
    """Why a kind of request does not run now; an empty text forgets it."""

    verb: ClassVar[str] = "note"
    group: str
    request: str
    text: str


@dataclass(frozen=True, slots=True)
class Keep(Move):
    """What the group's selector, or scheduler, goes on from after a take-over."""

    verb: ClassVar[str] = "keep"
    group: str
    selector: str  #: its name; of a scheduler behind "scheduler:"
    text: str  #: what only that plugin reads


@dataclass(frozen=True, slots=True)
class Compare(Move):
    """How the decisions of the group's shadow differ; an empty text forgets it."""

    verb: ClassVar[str] = "compare"
    group: str
    text: str  #: JSON


@dataclass(frozen=True, slots=True)
class Count(Move):
    """What the group's cycles did."""

    verb: ClassVar[str] = "count"
    group: str
    fields: Sequence[str]  #: name, value, name, value ... of its tally


@dataclass(frozen=True, slots=True)
class Positions(Move):
    """In which order the group's waiting sessions would be tried; an empty text forgets it."""

    verb: ClassVar[str] = "positions"
    group: str
    text: str  #: "ms scheduler", a line break, ids of the first ones


@dataclass(frozen=True, slots=True)
class Reach(Move):
    """What the group's agents could hold when idle, after one was removed."""

    verb: ClassVar[str] = "reach"
    group: str
    reachable: str
    full: str  #: percent of maxmemory used when submits must be refused, else ""
    server: str  #: run id and replication id of the Redis this is, by which a change is seen


@dataclass(frozen=True, slots=True)
class Renumber(Move):
    """Events are numbered anew on a Redis that may have lost some: their numbers would be given twice."""

    verb: ClassVar[str] = "renumber"
    group: str
    server: str


@dataclass(frozen=True, slots=True)
class Tell(Move):
    """An event that changes no state."""

    verb: ClassVar[str] = "tell"
    group: str
    event: str
    reason: str
