"""Plays a trace in its own time on a virtual clock: who waits how long, and how full the cluster is."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.cycle.plan import Placement
from scheduler.domain.errors import InvalidInput
from scheduler.leader.rehearsal import Plugin, Rehearsal, milli_of
from scheduler.leader.trace import Node, Task


@dataclass(frozen=True, slots=True)
class Played:
    """How a trace went under one policy. Times are seconds of the trace."""

    scheduler: str
    selector: str
    placed: int
    never: int  #: fit no node, not even an idle one
    waited: int  #: how many were not placed at once
    wait_p50: float
    wait_p95: float
    wait_mean: float
    wait_longest: float
    utilization: float  #: percent of GPU time allocated while tasks arrived
    allocation: float  #: percent of GPUs allocated at the fullest moment
    waits: Mapping[str, int] = field(repr=False)  #: seconds waited, by task


class _Meter:
    """GPUs allocated, integrated over time."""

    def __init__(self, began: float) -> None:
        self.now = began
        self.milli = self.most = 0
        self.area = 0.0

    def advance(self, now: float) -> None:
        self.area += self.milli * (now - self.now)
        self.now = now

    def add(self, milli: int) -> None:
        self.milli += milli
        self.most = max(self.most, self.milli)


def play(
    nodes: Sequence[Node], tasks: Sequence[Task], policy: tuple[Plugin, Plugin], *, speed: float
) -> Played:
    """Let tasks arrive, run and end. ``speed`` squeezes the arrivals, and leaves how long tasks run.

    Raises InvalidInput, UnknownPlugin, InvalidSetting.
    """
    cluster = Rehearsal(nodes, *policy)
    arrivals = [(task.created_at / speed, task) for task in tasks]
    ends: list[tuple[float, int, Placement]] = []
    lasts: dict[str, float] = {}
    arrived_at: dict[str, float] = {}
    waits: dict[str, int] = {}
    never = position = 0
    last_arrival = arrivals[-1][0]
    meter, area = _Meter(arrivals[0][0]), 0.0
    while position < len(arrivals) or ends:
        soonest = [at for at, _ in arrivals[position : position + 1]] + [e[0] for e in ends[:1]]
        now = min(soonest)
        meter.advance(now)
        if now <= last_arrival:
            area = meter.area
        freed = False
        while ends and ends[0][0] <= now:
            placement = heapq.heappop(ends)[2]
            cluster.end(placement, int(1000 * now))
            meter.add(-_held(placement))
            freed = True
        if freed:
            cluster.wake()
        while position < len(arrivals) and arrivals[position][0] <= now:
            task = arrivals[position][1]
            session = cluster.arrive(task, int(1000 * now))
            lasts[session.id], arrived_at[session.id] = _seconds(task), now
            position += 1
        placed, gone = cluster.place(int(1000 * now))
        never += len(gone)
        for placement in placed:
            session_id = placement.session.id
            waits[session_id] = round(now - arrived_at[session_id])
            heapq.heappush(ends, (now + lasts[session_id], placement.session.seq, placement))
            meter.add(_held(placement))
    span = (last_arrival - arrivals[0][0]) * cluster.gpus
    ordered = sorted(waits.values())
    return Played(
        scheduler=str(policy[0]),
        selector=str(policy[1]),
        placed=len(waits),
        never=never,
        waited=sum(wait > 0 for wait in ordered),
        wait_p50=_quantile(ordered, 0.5),
        wait_p95=_quantile(ordered, 0.95),
        wait_mean=round(sum(ordered) / max(1, len(ordered)), 1),
        wait_longest=_quantile(ordered, 1.0),
        utilization=round(100 * area / span, 2) if span else 0.0,
        allocation=round(100 * meter.most / cluster.gpus, 2) if cluster.gpus else 0.0,
        waits=waits,
    )


def check_times(tasks: Iterable[Task]) -> None:
    """Refuse tasks of which nobody knows how long they ran. Raises InvalidInput."""
    found = 0
    for task in tasks:
        _seconds(task)
        found += 1
    if not found:
        raise InvalidInput(problem="the list has no tasks")


def _seconds(task: Task) -> int:
    if task.seconds is None:
        problem = (
            f"task {task.name!r} does not say how long it ran: columns scheduled_time (or"
            " creation_time) and a deletion_time that is not before are needed"
        )
        raise InvalidInput(problem=problem)
    return task.seconds


def _held(placement: Placement) -> int:
    return sum(milli_of(binding.slots) for binding in placement.bindings)


def _quantile(ordered: Sequence[int], part: float) -> float:
    """The smallest wait that this part of the tasks did not exceed."""
    if not ordered:
        return 0.0
    return float(ordered[max(0, -int(-part * len(ordered) // 1) - 1)])
