"""The two lives, as data: guards in Lua, diagrams and tests are generated from these tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class SessionState(StrEnum):
    """Where a session is in its life."""

    PENDING = (
        "PENDING"  #: waits for dependencies, a start time, or its last dependencies to be loaded
    )
    READY = "READY"  #: in its group's queue; the cycle looks at it
    SCHEDULED = "SCHEDULED"  #: bound to agents, orders pushed, none claimed yet
    PREPARING = "PREPARING"  #: an agent claimed an order; the attempt counts
    RUNNING = "RUNNING"  #: all kernels are up
    TERMINATING = "TERMINATING"  #: kernels are being stopped
    RETRYING = "RETRYING"  #: failed with retries left; waits for its back-off
    SUCCEEDED = "SUCCEEDED"  #: all kernels exited 0
    FAILED = "FAILED"  #: ended badly, or could never run
    TIMED_OUT = "TIMED_OUT"  #: stopped at its deadline, or when it was silent for too long
    CANCELLED = "CANCELLED"  #: somebody, a parent's failure or a pending timeout ended it


class KernelState(StrEnum):
    """Where one kernel of a placement is in its life."""

    ORDERED = "ORDERED"  #: the order lies on the agent's keys
    CLAIMED = "CLAIMED"  #: the agent took it
    UP = "UP"  #: the process runs
    STOPPING = "STOPPING"  #: a stop order is on its way
    ENDED = "ENDED"  #: over, with exit code, signal and reason
    WITHDRAWN = "WITHDRAWN"  #: taken back before any claim
    LOST = "LOST"  #: its agent is gone and the lease is certainly over


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed move: the verb, where from, where to, and who may make it."""

    verb: str
    sources: frozenset[str]
    targets: frozenset[str]
    by: str
    says: str


S = SessionState
K = KernelState
_NOTHING = ""  # the source of what does not exist yet

WAITING = (S.PENDING, S.READY, S.RETRYING)
PLACED = (S.SCHEDULED, S.PREPARING, S.RUNNING, S.TERMINATING)
FINAL = (S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED)
KERNEL_LIVE = (K.ORDERED, K.CLAIMED, K.UP, K.STOPPING)

#: Why a session is being stopped; the stronger reason wins.
STOP_STRENGTH: Mapping[str, int] = {
    "unplaced": 1,
    "lost": 2,
    "failed": 3,
    "silent": 4,
    "timed_out": 5,
    "cancelled": 6,
}


def _edge(verb: str, sources: Iterable[str], targets: Iterable[str], by: str, says: str) -> Edge:
    return Edge(verb, frozenset(map(str, sources)), frozenset(map(str, targets)), by, says)


SESSION_LIFE: tuple[Edge, ...] = (
    _edge("submit", [_NOTHING], [S.PENDING, S.READY], "app", "asked for"),
    _edge("seal", [S.PENDING], [S.PENDING, S.READY], "app", "the last dependency was loaded"),
    _edge(
        "release",
        [S.PENDING],
        [S.READY],
        "leader, operator",
        "dependencies met, start time reached",
    ),
    _edge("refuse", [S.READY], [S.FAILED], "leader", "can fit no agent known to the group"),
    _edge("expire", WAITING, [S.CANCELLED], "leader", "pending timeout"),
    _edge("cascade", [S.PENDING], [S.CANCELLED], "leader", "a parent did not succeed"),
    _edge("place", [S.READY], [S.SCHEDULED], "leader", "bound to agents, orders pushed"),
    _edge("unplace", [S.SCHEDULED], [S.READY], "leader", "orders withdrawn before any claim"),
    _edge("claim", [S.SCHEDULED], [S.PREPARING], "leader", "first kernel claimed"),
    _edge("start", [S.PREPARING], [S.RUNNING], "leader", "last kernel up"),
    _edge(
        "stop",
        [S.SCHEDULED, S.PREPARING, S.RUNNING, S.TERMINATING],
        [S.TERMINATING],
        "leader",
        "cancel, timeout, barrier, a kernel failed or was lost while others live",
    ),
    _edge(
        "end",
        [S.PREPARING, S.RUNNING, S.TERMINATING],
        [S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED, S.RETRYING, S.READY],
        "leader",
        "all kernels are over",
    ),
    _edge("cancel", [*WAITING, S.SCHEDULED], [S.CANCELLED], "app, leader", "nothing runs yet"),
    _edge("requeue", [S.RETRYING], [S.READY], "leader", "back-off over"),
    _edge(
        "rescue",
        PLACED,
        [S.READY, S.FAILED, S.CANCELLED, S.TIMED_OUT, S.RETRYING],
        "leader",
        "a kernel was lost and none is alive any more",
    ),
    _edge(
        "retry",
        [S.FAILED, S.TIMED_OUT, S.CANCELLED],
        [S.PENDING, S.READY],
        "operator",
        "asked to run again",
    ),
)

KERNEL_LIFE: tuple[Edge, ...] = (
    _edge("order", [_NOTHING], [K.ORDERED], "leader", "the order was committed"),
    _edge("claim", [K.ORDERED], [K.CLAIMED], "agent", "the agent took the order"),
    _edge("up", [K.CLAIMED], [K.UP], "agent", "the process runs"),
    _edge("stop", [K.CLAIMED, K.UP], [K.STOPPING], "leader", "a stop order was pushed"),
    _edge("end", [K.CLAIMED, K.UP, K.STOPPING], [K.ENDED], "agent", "the process is over"),
    _edge("withdraw", [K.ORDERED], [K.WITHDRAWN], "leader", "taken back unclaimed"),
    _edge("lose", KERNEL_LIVE, [K.LOST], "leader", "its agent is certainly dead"),
)


def allowed(life: tuple[Edge, ...], verb: str, source: str, target: str) -> bool:
    """Whether the table has this move."""
    return any(e.verb == verb and source in e.sources and target in e.targets for e in life)


def diagram(life: tuple[Edge, ...]) -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2"]
    for edge in life:
        for source in sorted(edge.sources):
            lines += [
                f"    {source or '[*]'} --> {target}: {edge.verb}"
                for target in sorted(edge.targets)
            ]
    if life is SESSION_LIFE:
        lines += [f"    {state} --> [*]" for state in sorted(FINAL)]
    return "\n".join(lines)
