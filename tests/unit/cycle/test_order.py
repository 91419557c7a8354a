"""The order that sessions are told, where it is not that of the queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import pytest

from scheduler.cycle.order import order_of
from scheduler.cycle.scheduler import propose
from scheduler.cycle.sequencers.drf import DrfScheduler
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.office import office_scopes
from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting


def of(office: str, count: int, first: int, priority: int = 10) -> list[WaitingSession]:
    asked = request(scopes=office_scopes(office, ""))
    return [
        waiting(asked, seq=first + n, name=f"{office}{n}", priority=priority) for n in range(count)
    ]


def placed(made: Snapshot, scheduler: AbstractScheduler, limit: int) -> list[str]:
    plan = propose(made, policy(scheduler=scheduler), limit=limit)
    return [placement.session.id for placement in plan.placements]


def test_turns_of_offices_are_told_as_they_are_had() -> None:
    """X3: a thousand jobs of one office delay another's by one, and both are told so."""
    scheduler = FifoScheduler({})
    made = snapshot(
        [agent("a", 100_000)], [*of("big", 1_000, 1, 90), *of("small", 2, 2_000)], scheduler
    )
    first = placed(made, scheduler, 1)

    told = order_of(made, scheduler, 5)

    assert ["big0"] == first
    assert ["small0", "big1", "small1", "big2", "big3"] == told
    assert told == placed(made, scheduler, 5)


def test_who_sleeps_keeps_the_place_at_which_it_is_tried_again() -> None:
    scheduler = FifoScheduler({})
    sessions = [waiting(request("8"), name="large"), waiting(request("1"), name="small")]
    made = snapshot([agent("a", 500), agent("b", 9_000, free={"cpu": 0})], sessions, scheduler)
    assert [] == placed(made, scheduler, 10)

    assert ["large", "small"] == order_of(made, scheduler, 10)
    assert not made.waiting.awake()


def test_shares_of_the_rehearsal_are_its_own() -> None:
    scheduler = DrfScheduler({})
    sessions = [
        waiting(request(keypair=owner), seq=seq, name=f"{owner}{seq}")
        for seq, owner in enumerate("AAAB")
    ]
    made = snapshot([agent("a", 100_000)], sessions, scheduler)

    assert ["A0", "B3", "A1", "A2"] == order_of(made, scheduler, 10)
    assert {} == made.held


class Secretive(AbstractScheduler):
    """A plugin that says nothing of its order."""

    name: ClassVar[str] = "secretive"

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (candidate.seq,)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None: ...
    def pick_session(self) -> Candidate | None: ...
    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None: ...


class Rude(Secretive):
    """One that breaks when it is asked."""

    def rehearse(self) -> AbstractScheduler:
        raise RuntimeError("not now")


@pytest.mark.parametrize("plugin", [Secretive, Rude])
def test_a_plugin_that_does_not_tell_is_let_be(plugin: type[AbstractScheduler]) -> None:
    scheduler = plugin({})

    assert order_of(snapshot([agent("a")], [waiting()], scheduler), scheduler, 10) is None
