"""A group on a clock of its own: sessions arrive, are placed by the cycle, run, and end by their deadlines."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scheduler.cycle.plan import Placement
from scheduler.cycle.releases import START_MS, STOP_MS
from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.domain.agent import AgentData
from scheduler.domain.group import Backfill
from scheduler.domain.request import Request
from scheduler.domain.verdict import MODE
from tests.unit.cycle.made import policy, snapshot, waiting

OVERHEAD_MS = START_MS + STOP_MS


@dataclass(frozen=True, slots=True)
class Arrival:
    """A session that is submitted at a time (ms), and runs for so long once it is placed."""

    at_ms: int
    request: Request
    runs_ms: int
    priority: int = 10


@dataclass(slots=True)
class Group:
    """Plays arrivals to the end, and keeps what was promised and when each session started."""

    agents: Sequence[AgentData]
    kind: Backfill
    limit: int = 50
    started: dict[int, int] = field(default_factory=dict)  #: ms, by the number of the arrival
    #: What was promised to a session first, and when.
    promised: dict[int, tuple[int, int]] = field(default_factory=dict)
    made: Snapshot = field(init=False)
    rules: Policy = field(init=False)
    _ends: list[tuple[int, int, Placement]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.made = snapshot(self.agents)
        self.rules = replace(policy(grows=True), backfill=self.kind)

    def play(self, arrivals: Mapping[int, Arrival]) -> Group:
        """Until everybody that can start has ended; arrivals by their numbers."""
        coming = sorted(arrivals.items(), key=lambda item: item[1].at_ms)
        lasts = {number: arrival.runs_ms for number, arrival in coming}
        while coming or self._ends:
            now = min([a.at_ms for _, a in coming[:1]] + [end[0] for end in self._ends[:1]])
            self.made.now_ms = now
            self._end(now)
            while coming and coming[0][1].at_ms <= now:
                number, arrival = coming.pop(0)
                self.made.waiting.add(
                    waiting(arrival.request, priority=arrival.priority, seq=number)
                )
            self._cycles(now, lasts)
        return self

    def _end(self, now: int) -> None:
        while self._ends and self._ends[0][0] <= now:
            placement = heapq.heappop(self._ends)[2]
            for binding in placement.bindings:
                self.made.agents.give(binding.agent, binding.slots)
            self.made.releases.drop(placement.session.id)
            self.made.hold(placement.session.request, -1)
            self.made.waiting.wake(AGENTS)

    def _cycles(self, now: int, lasts: dict[int, int]) -> None:
        for _ in range(10_000):
            plan = propose(self.made, self.rules, limit=self.limit)
            assert all(MODE not in verdict.by for verdict in plan.refusals.values())
            for placement in plan.placements:
                number = placement.session.seq
                self.started[number] = now
                heapq.heappush(self._ends, (now + lasts[number], number, placement))
            for line in list(self.made.waiting.lines()):
                promise = self.made.reservations.of(line.request.id)
                if promise is not None:
                    self.promised.setdefault(promise.session.seq, (promise.at_ms, now))
            if not plan.more:
                return
        raise AssertionError("the cycle never comes to rest")
