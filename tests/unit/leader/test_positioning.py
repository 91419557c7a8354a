"""When the order of what waits is told, and when the leader is left alone with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import pytest

from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.sequencers.lifo import LifoScheduler
from scheduler.domain.group import ScalingGroupOpts
from scheduler.intake.board import Board
from scheduler.leader import positioning
from scheduler.leader.positioning import Positioning
from scheduler.leader.state import LeaderState
from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext
from tests.unit.cycle.made import agent, request, snapshot, waiting
from tests.unit.leader.test_shadowing import Hand

FIFO = FifoScheduler({})


class Room:
    """A leader's picture with some sessions, and what is told of it."""

    def __init__(self, sessions: int = 0) -> None:
        self.clock = Hand()
        some = [waiting(request(), seq=n, name=f"s{n}") for n in range(sessions)]
        self.state = LeaderState(
            ScalingGroupOpts(), Board(lambda *_: None), snapshot([agent("a")], some)
        )
        self.state.all_loaded = True
        self.telling = Positioning("default", self.state, self.clock)

    def told(self, scheduler: AbstractScheduler = FIFO, *, after: float = 60.0) -> list[str] | None:
        """What is written at that time; None for nothing."""
        self.clock.now += after
        moves = self.telling.due(scheduler)
        return moves[0].text.partition("\n")[2].split() if moves else None


def test_it_is_told_once_and_again_when_somebody_comes_or_leaves() -> None:
    """X3."""
    room = Room(2)

    assert ["s0", "s1"] == room.told()
    assert room.told() is None
    room.state.waiting.add(waiting(name="s9", seq=9))
    assert ["s0", "s1", "s9"] == room.told()
    room.state.waiting.discard("s0")
    assert ["s1", "s9"] == room.told()


def test_another_scheduler_tells_its_own_order() -> None:
    room = Room(2)
    room.told()
    lifo = LifoScheduler({})
    room.state.waiting.rank_anew(lifo.rank)

    assert ["s1", "s0"] == room.told(lifo)


def test_what_a_former_term_told_is_forgotten_where_nobody_waits() -> None:
    room = Room()

    assert [] == room.told()
    assert room.told() is None


def test_it_rests_between_two_looks() -> None:
    room = Room(1)
    room.told()
    room.state.waiting.add(waiting(name="s9", seq=9))

    assert room.told(after=0.5) is None
    assert ["s0", "s9"] == room.told(after=0.6)


def test_a_slow_look_is_a_fiftieth_of_the_time() -> None:
    class Slow(FifoScheduler):
        name: ClassVar[str] = "slow"

        def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
            room.clock.now += 0.5
            super().prioritize(context, heads)

    room, slow = Room(1), Slow({})
    room.told(slow)
    room.state.waiting.add(waiting(name="s9", seq=9))

    assert room.told(slow, after=20.0) is None
    assert ["s0", "s9"] == room.told(slow, after=5.0)


def test_nothing_is_told_before_all_is_loaded() -> None:
    room = Room(1)
    room.state.all_loaded = False

    assert room.told() is None


def test_too_many_kinds_are_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(1)
    room.told()
    monkeypatch.setattr(positioning, "_MOST_KINDS", 1)
    room.state.waiting.add(waiting(request("2"), name="s9", seq=9))

    assert [] == room.told()
