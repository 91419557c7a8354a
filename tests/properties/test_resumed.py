"""A cycle that goes on where the last one ended decides as if it had begun anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.scheduler import propose, withdraw
from scheduler.cycle.sequencers.drf import DrfScheduler
from scheduler.cycle.sequencers.fair_share import FairShareScheduler
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.sequencers.lifo import LifoScheduler
from scheduler.cycle.snapshot import AGENTS
from scheduler.cycle.waiting import WaitingSession
from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

SCHEDULERS: list[tuple[type[AbstractScheduler], dict[str, Any]]] = [
    (FifoScheduler, {}),
    (FifoScheduler, {"num_retries_to_skip": 1}),
    (FifoScheduler, {"ageing": "1s"}),
    (LifoScheduler, {}),
    (DrfScheduler, {}),
    (FairShareScheduler, {"ageing": "1s"}),
]
#: (owner, cpu, priority)
ASKED = st.tuples(
    st.sampled_from(["ann", "bob", "cyn"]), st.integers(1, 3), st.sampled_from([10, 20])
)
#: What happens before a cycle: sessions come, one that waits leaves, one that was placed ends, time passes.
HAPPENED = st.one_of(
    st.none(),
    st.lists(ASKED, min_size=1, max_size=4),
    st.sampled_from(["leaves", "ends", "time"]),
)
CYCLES = st.lists(st.tuples(HAPPENED, st.integers(1, 4)), min_size=2, max_size=8)


class World:
    """A picture under a scheduler of its own, to which the same happens as to others."""

    def __init__(self, kind: type[AbstractScheduler], options: dict[str, Any]) -> None:
        self.scheduler = kind(options)
        self.picture = snapshot([agent("a", 12_000), agent("b", 5_000)], (), self.scheduler)
        self.running: list[Any] = []

    def happens(self, what: str | Iterable[WaitingSession]) -> None:
        room = self.picture.waiting
        if what == "time":
            self.picture.now_ms += 1_500
        elif what == "leaves":
            for leaving in sorted(room.ids())[:1]:
                room.discard(leaving)
        elif what == "ends":
            if self.running:
                withdraw(self.picture, self.running.pop(0))
                room.wake(AGENTS)
        elif not isinstance(what, str):
            for session in what:
                room.add(session)

    def cycle(self, limit: int) -> list[tuple[str, str]]:
        plan = propose(self.picture, policy(scheduler=self.scheduler), limit=limit)
        self.running += plan.placements
        return [(p.session.id, p.bindings[0].agent) for p in plan.placements]


@given(st.sampled_from(SCHEDULERS), st.lists(ASKED, max_size=30), CYCLES)
def test_what_is_decided_is_the_same(
    kind: tuple[type[AbstractScheduler], dict[str, Any]],
    asked: list[tuple[str, int, int]],
    cycles: list[tuple[Any, int]],
) -> None:
    """K2: whatever happens between two cycles, and also where nothing does."""
    resuming, anew = World(*kind), World(*kind)
    anew.scheduler.resumes = False
    number = 0
    for happened, limit in [(asked, 1), *cycles]:
        what = happened
        if isinstance(happened, list):
            what = []
            for owner, cpu, priority in happened:
                number += 1
                one = request(str(cpu), keypair=owner)
                what.append(waiting(one, priority=priority, seq=number, since=400 * number))
        for world in (resuming, anew):
            if what is not None:
                world.happens(what)
        assert resuming.cycle(limit) == anew.cycle(limit)


class Counting(FifoScheduler):
    """Counts how often it is asked to put everything into order."""

    asked = 0

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self.asked += 1
        super().prioritize(context, heads)


@pytest.mark.parametrize(("options", "asked"), [({}, 1), ({"num_retries_to_skip": 2}, 3)])
def test_the_order_is_made_once_for_cycles_between_which_nothing_happens(
    options: dict[str, Any], asked: int
) -> None:
    """K2: unless the scheduler cannot promise that it would be the same."""
    scheduler = Counting(options)
    made = snapshot([agent("a", 64_000)], [waiting() for _ in range(9)], scheduler)
    cycle = policy(scheduler=scheduler)

    plans = [propose(made, cycle, limit=2) for _ in range(3)]
    assert scheduler.asked == asked

    made.waiting.add(waiting())
    propose(made, cycle, limit=1)
    assert scheduler.asked == asked + 1

    withdraw(made, plans[0].placements[0])
    propose(made, cycle, limit=1)
    assert scheduler.asked == asked + 2

    made.now_ms += 1
    propose(made, cycle, limit=1)
    assert scheduler.asked == asked + 3
