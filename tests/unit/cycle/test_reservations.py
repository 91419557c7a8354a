"""Who is promised what, who may run in front of it, and what becomes of a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.promise import Promise
from scheduler.cycle.releases import START_MS, STOP_MS, STUCK_MS
from scheduler.cycle.scheduler import Policy, propose, withdraw
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.domain.agent import AgentData
from scheduler.domain.group import Backfill
from scheduler.domain.request import Request, request_of
from scheduler.domain.spec import SessionSpec
from tests.unit.cycle.made import agent, policy, snapshot, waiting

NOW = 1_000_000
OVERHEAD_MS = START_MS + STOP_MS


def asked(cpu: str = "1", timeout: int = 100, **more: Any) -> Request:
    """A request of one kernel, or of several; the timeout is in seconds."""
    kernels = more.pop("kernels", [{"cpu": cpu} | more.pop("slots", {})])
    return request_of(SessionSpec(callable="a:b", kernels=kernels, timeout=timeout, **more))


class World:
    """A snapshot, a policy, and what was placed in it."""

    def __init__(self, agents: Sequence[AgentData], kind: Backfill = Backfill.EASY) -> None:
        self.made: Snapshot = snapshot(agents)
        self.made.now_ms = NOW
        self.rules: Policy = replace(policy(grows=True), backfill=kind)
        self.placed: dict[str, Placement] = {}
        self.plan = Plan()

    def cycle(self, *, limit: int = 100) -> list[str]:
        """Cycles until they rest; who was placed."""
        names = []
        while True:
            self.plan = propose(self.made, self.rules, limit=limit)
            self.placed |= {p.session.id: p for p in self.plan.placements}
            names += [p.session.id for p in self.plan.placements]
            if not self.plan.more:
                return names

    def come(self, name: str, request: Request, priority: int = 10) -> list[str]:
        """A session begins to wait; who is placed then."""
        self.made.waiting.add(waiting(request, name=name, priority=priority))
        return self.cycle()

    def end(self, name: str, *, after_s: int = 0) -> list[str]:
        """A session ends; who is placed then."""
        self.made.now_ms += 1_000 * after_s
        for binding in self.placed[name].bindings:
            self.made.agents.give(binding.agent, binding.slots)
        self.made.releases.drop(name)
        self.made.waiting.wake(AGENTS)
        return self.cycle()

    def change(self, data: AgentData) -> list[str]:
        """An agent is another than it was; who is placed then."""
        row = self.made.agents.get(data.id)
        assert row is not None
        self.made.agents.put(replace(data, free=dict(row.free)), row.kernels)
        self.made.waiting.wake(AGENTS)
        return self.cycle()

    def promise(self, request: Request) -> Promise:
        """What is promised to the first of a line."""
        found = self.made.reservations.of(request.id)
        assert found is not None
        return found

    def told(self, request: Request) -> list[tuple[str, str]]:
        """By whom a line is refused, and why."""
        line = self.made.waiting.line(request.id)
        assert line is not None
        assert line.verdict is not None
        return [(failure.by, failure.reason) for failure in line.verdict.failures]


def deadline(seconds: int) -> int:
    return NOW + 1_000 * seconds + OVERHEAD_MS


BIG = asked("4", 1_000)
SHORT, LONG = asked("1", 20), asked("1", 2_000)


def busy(kind: Backfill = Backfill.EASY, cpu: int = 4_000) -> World:
    """One agent on which one core is left for 100 s, and a big session that waits for all of them."""
    world = World([agent("a1", cpu)], kind)
    assert ["x"] == world.come("x", asked(str(cpu // 1_000 - 1), 100))
    assert [] == world.come("big", BIG)
    return world


def test_a_blocked_session_is_promised_the_earliest_end_that_makes_room() -> None:
    """X6."""
    world = World([agent("a1"), agent("a2")])
    for name, cpu, seconds, where in (
        ("x", "4", 100, "a1"),
        ("y", "2", 50, "a2"),
        ("z", "2", 200, "a2"),
    ):
        world.come(name, asked(cpu, seconds, agents=[where]))

    assert [] == world.come("big", BIG)

    promise = world.promise(BIG)
    assert (deadline(100), ["a1"]) == (promise.at_ms, promise.agents)
    says = "no agent has cpu=4 free now; reserved on a1 from 1970-01-01T00:18:30Z (at the latest)"
    assert [("agents", says)] == world.told(BIG)


def test_who_ends_before_it_runs_in_front_and_who_does_not_is_told_for_whom_it_waits() -> None:
    """X6."""
    world = busy()

    assert [] == world.come("long", LONG)
    assert ["short"] == world.come("short", SHORT)
    world.end("short")
    line = world.made.waiting.line(LONG.id)
    assert line is not None
    assert ("backfill", "room is reserved for session big") == world.told(LONG)[1]
    says = (
        "a1 is reserved for session big from 1970-01-01T00:18:30Z on; it may run longer than that"
    )
    assert says == world.made.reservations.word_held_back(LONG.id, line.needs)
    assert "" == world.made.reservations.word_held_back(BIG.id, line.needs)
    assert ["big"] == world.end("x")


def test_who_leaves_it_room_may_run_as_long_as_it_likes() -> None:
    """X6."""
    world = World([agent("a1", 6_000)])
    world.come("x", asked("3", 100))
    world.come("big", BIG)

    assert ["one", "two"] == [*world.come("one", LONG), *world.come("two", LONG)]
    assert [] == world.come("three", LONG)
    assert ["big"] == world.end("x")


def test_a_promise_moves_to_other_devices_of_its_agent() -> None:
    """X6: devices exact."""
    world = World([agent("a1", 8_000, devices=3)])
    share = asked(timeout=2_000, slots={"cuda.device": 1})
    world.come("x", asked(timeout=100, slots={"cuda.device": 2}))
    world.come("big", asked(timeout=1_000, slots={"cuda.device": 2}))

    assert ["beside"] == world.come("beside", share)
    assert {"cpu": 1_000, "cuda.2": 1_000} == world.placed["beside"].bindings[0].slots
    assert [] == world.come("late", share)
    assert ["big"] == world.end("x")


@pytest.mark.parametrize("kind", [Backfill.EASY, Backfill.CONSERVATIVE])
def test_who_ranks_higher_takes_what_it_wants_and_the_promise_is_made_anew(kind: Backfill) -> None:
    """X6."""
    world = busy(kind)

    assert ["first"] == world.come("first", LONG, priority=50)
    assert deadline(2_000) == world.promise(BIG).at_ms


def test_a_blocked_session_of_a_higher_rank_takes_the_promise_over() -> None:
    """X6: easy promises to one."""
    world, higher = busy(), asked("4", 77)

    world.come("higher", higher, priority=50)

    assert deadline(100) == world.promise(higher).at_ms
    assert world.made.reservations.of(BIG.id) is None
    assert ["higher"] == world.end("x")


def test_conservatively_each_kind_of_request_is_promised_something_in_its_turn() -> None:
    """X6: what is reserved before it is counted as taken."""
    world, second = busy(Backfill.CONSERVATIVE), asked("2", 300)

    world.come("second", second)

    assert deadline(100) == world.promise(BIG).at_ms
    assert deadline(100) + 1_000 * 1_000 + OVERHEAD_MS == world.promise(second).at_ms
    assert [] == world.come("third", LONG)


def test_a_promise_is_kept_while_nothing_happens_and_while_others_come() -> None:
    world = busy()
    promise = world.promise(BIG)

    for number in range(3):
        world.made.now_ms += 5_000
        world.cycle()
        world.come(f"long{number}", LONG)

    assert promise is world.promise(BIG)
    assert [] == [*world.plan.placements, *world.plan.refusals]


def test_when_it_is_cancelled_those_held_back_go_on() -> None:
    world = busy()
    world.come("long", LONG)

    world.made.waiting.discard("big")

    assert ["long"] == world.cycle()


def test_when_it_is_cancelled_the_next_one_is_promised_the_room() -> None:
    world, other = busy(), asked("3", 60)
    world.come("other", other)

    world.made.waiting.discard("big")
    world.cycle()

    assert deadline(100) == world.promise(other).at_ms


def test_without_backfill_nothing_is_promised_and_a_change_of_mind_frees_what_was() -> None:
    world = busy()
    world.come("long", LONG)

    world.rules = replace(world.rules, backfill=Backfill.NONE)

    assert ["long"] == world.cycle()
    assert world.made.reservations.of(BIG.id) is None


def test_a_drained_agent_keeps_no_promise() -> None:
    world = World([agent("a1"), agent("a2")])
    world.come("x", asked("4", 100, agents=["a1"]))
    world.come("y", asked("4", 200, agents=["a2"]))
    world.come("big", BIG)

    world.change(agent("a1", drained=True))

    assert (deadline(200), ["a2"]) == (world.promise(BIG).at_ms, world.promise(BIG).agents)


def test_who_can_be_promised_nothing_blocks_nobody() -> None:
    """X6."""
    world = World([agent("a1")])
    hopeless = asked("4", 10, labels={"zone": "nowhere"})
    world.come("hopeless", hopeless)

    assert ["long"] == world.come("long", asked("3", 2_000))
    world.come("big", BIG)
    assert world.made.reservations.of(hopeless.id) is None
    assert deadline(2_000) == world.promise(BIG).at_ms


def test_an_earlier_time_is_looked_for_as_others_end_early() -> None:
    world = World([agent("a1"), agent("a2")])
    world.come("x", asked("4", 100, agents=["a1"]))
    world.come("y", asked("2", 50, agents=["a2"]))
    world.come("z", asked("2", 80, agents=["a2"]))
    world.come("big", asked("4", 1_000, agents=["a1"]))
    world.come("w", BIG)
    world.made.waiting.discard("big")
    world.cycle()
    assert deadline(80) == world.promise(BIG).at_ms

    world.end("z", after_s=2)

    assert (deadline(50), ["a2"]) == (world.promise(BIG).at_ms, world.promise(BIG).agents)


def test_who_is_overdue_is_about_to_end_and_who_is_stuck_is_not_counted_on() -> None:
    world = World([agent("a1"), agent("a2")])
    world.come("x", asked("4", 100, agents=["a1"]))
    world.come("y", asked("4", 1_000, agents=["a2"]))
    world.come("z", asked("4", 1_200, agents=["a1"]))
    world.made.now_ms = deadline(100) + 1_000
    world.come("big", asked("4", 5))
    world.made.waiting.discard("z")
    world.made.waiting.wake(AGENTS)
    world.cycle()
    assert world.made.now_ms == world.promise(asked("4", 5)).at_ms

    world.made.now_ms += STUCK_MS
    world.made.waiting.wake(AGENTS)
    world.cycle()

    assert deadline(1_000) == world.promise(asked("4", 5)).at_ms


def test_a_gang_is_promised_room_for_all_its_kernels_at_one_time() -> None:
    """X6, K10."""
    world = World([agent(f"a{number}") for number in range(5)])
    gang = asked(kernels=[{"cpu": "3"}] * 5, cluster_mode="multi-node", timeout=10)
    for number in range(3):
        world.come(f"x{number}", asked("2", 100 * (number + 1), agents=[f"a{number}"]))

    assert [] == world.come("gang", gang)

    assert (deadline(300), 5) == (world.promise(gang).at_ms, len(world.promise(gang).agents))
    assert "on a0, a1, a2 and 2 more from" in world.told(gang)[0][1]
    assert ["small"] == world.come("small", LONG)
    assert [] == world.come("large", asked("2", 2_000, agents=["a3", "a4"]))
    assert ["short"] == world.come("short", asked("2", 200, agents=["a3"]))
    assert [] == [*world.end("x0"), *world.end("x1"), *world.end("short")]
    assert ["gang"] == world.end("x2")


def test_a_placement_that_was_not_committed_is_not_counted_on() -> None:
    world = World([agent("a1")])
    world.come("x", asked("4", 100))

    withdraw(world.made, world.placed["x"])

    assert 0 == len(world.made.releases)


def test_a_limit_on_one_plan_loses_no_promise() -> None:
    world = World([agent("a1", 8_000)])
    world.come("x", asked("5", 100))
    world.come("big", BIG)
    promise = world.promise(BIG)

    for number in range(3):
        world.made.waiting.add(waiting(SHORT, name=f"s{number}", priority=90))

    assert ["s0", "s1", "s2"] == world.cycle(limit=1)
    assert promise is world.promise(BIG)


def test_a_limit_on_kernels_counts_as_well() -> None:
    world = World([agent("a1", max_kernels=2)])
    world.come("x", asked("1", 100))
    world.come("y", asked("1", 200))
    world.come("big", BIG)
    one = asked("1", 300)
    world.made.waiting.discard("big")
    world.come("one", one)

    assert deadline(100) == world.promise(one).at_ms


@pytest.mark.parametrize("kind", [Backfill.EASY, Backfill.CONSERVATIVE])
def test_nothing_stays_hidden_when_a_cycle_is_over(kind: Backfill) -> None:
    world = busy(kind)
    world.come("long", LONG)

    assert [False] == [row.hidden for row in world.made.agents.rows]


def test_who_comes_first_in_a_line_that_sleeps_takes_its_turn() -> None:
    """X6: the promise is of the highest rank, whoever asked the same before."""
    world, other = busy(), asked("3", 60)
    world.come("other", other)
    assert deadline(100) == world.promise(BIG).at_ms

    world.come("urgent", other, priority=90)

    assert "urgent" == world.promise(other).session.id
    assert world.made.reservations.of(BIG.id) is None
