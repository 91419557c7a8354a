"""Schedulers beyond plain FIFO: who is tried next, and what their options do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import propose
from scheduler.cycle.sequencers.drf import DrfScheduler
from scheduler.cycle.sequencers.fair_share import FairShareScheduler
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.sequencers.lifo import LifoScheduler
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.office import office_scopes
from scheduler.plugins.interfaces import AbstractScheduler, SchedulingContext
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

HOUR = 3_600_000
ALL = [FifoScheduler, LifoScheduler, DrfScheduler, FairShareScheduler]


def picked(scheduler: AbstractScheduler) -> list[str]:
    found = []
    while session := scheduler.pick_session():
        found.append(session.id)
    return found


def order(
    scheduler: AbstractScheduler, heads: Iterable[WaitingSession], context: SchedulingContext
) -> list[str]:
    scheduler.prioritize(context, heads)
    return picked(scheduler)


def placed(made: Snapshot, scheduler: AbstractScheduler, limit: int = 100) -> list[str]:
    return names(propose(made, policy(scheduler=scheduler), limit=limit))


def names(plan: Plan) -> list[str]:
    return [placement.session.id for placement in plan.placements]


def of(owner: str, count: int, first: int, **asked: Any) -> list[WaitingSession]:
    """Sessions of one owner, called by it."""
    return [
        waiting(request(keypair=owner, **asked), seq=first + n, name=f"{owner}{n}")
        for n in range(count)
    ]


# Last in, first out


def test_lifo_takes_what_was_submitted_last_within_a_band() -> None:
    """K2."""
    heads = [
        waiting(seq=1, name="old"),
        waiting(seq=3, name="new"),
        waiting(seq=2, name="low", priority=0),
    ]

    assert ["new", "old", "low"] == order(LifoScheduler({}), heads, SchedulingContext())


def test_lifo_holds_inside_a_line_too() -> None:
    scheduler = LifoScheduler({})
    made = snapshot([agent("a", 4000)], [waiting(name=n) for n in "abc"], scheduler)

    assert ["c", "b", "a"] == placed(made, scheduler)


# Dominant resource fairness


def test_two_owners_alternate_however_early_one_of_them_came() -> None:
    """K2: never AAAAAABB."""
    scheduler = DrfScheduler({})
    made = snapshot([agent("a", 64_000)], [*of("A", 4, 0), *of("B", 4, 10)], scheduler)

    assert ["A0", "B0", "A1", "B1", "A2", "B2", "A3", "B3"] == placed(made, scheduler)


def test_two_owners_alternate_over_the_plans_of_a_turn() -> None:
    scheduler = DrfScheduler({})
    made = snapshot([agent("a", 64_000)], [*of("A", 3, 0), *of("B", 3, 10)], scheduler)

    found = [placed(made, scheduler, limit=2) for _ in range(3)]

    assert [["A0", "B0"], ["A1", "B1"], ["A2", "B2"]] == found


def test_the_sum_of_what_an_owner_holds_counts_not_its_largest_session() -> None:
    """K2: DRF by the largest session is a mistake we do not repeat."""
    held = {"many": {"cpu": 6_000}, "large": {"cpu": 4_000}}
    context = SchedulingContext(capacity={"cpu": 10_000}, held=held)
    heads = [
        waiting(request(keypair="many"), seq=1, name="of many small ones"),
        waiting(request(keypair="large"), seq=2, name="of one large one"),
    ]

    assert ["of one large one", "of many small ones"] == order(DrfScheduler({}), heads, context)


def test_the_slot_of_which_an_owner_has_most_is_its_share() -> None:
    """K2: the example of the paper: 9 cores and 18 units of memory; A asks 1 and 4, B asks 3 and 1."""
    scheduler = DrfScheduler({})
    room = {"cpu": 9_000, "mem": 18 * 1024}
    made = snapshot(
        [replace(agent("a"), capacity=room, free=room)],
        [*of("A", 6, 0, cpu="1", mem="4GiB"), *of("B", 6, 10, cpu="3", mem="1GiB")],
        scheduler,
    )

    found = placed(made, scheduler)

    assert (3, 2) == (sum(n[0] == "A" for n in found), sum(n[0] == "B" for n in found))


def test_an_owner_of_twice_the_weight_gets_twice_as_much() -> None:
    scheduler = DrfScheduler({"weights": {"A": 2}})
    made = snapshot([agent("a", 9_000)], [*of("A", 9, 0), *of("B", 9, 10)], scheduler)

    found = placed(made, scheduler)

    assert (6, 3) == (sum(n[0] == "A" for n in found), sum(n[0] == "B" for n in found))


def test_of_one_owner_the_line_of_who_came_first_goes_first() -> None:
    scheduler = DrfScheduler({})
    made = snapshot(
        [agent("a", 64_000)],
        [
            waiting(request("2", keypair="A"), seq=1, name="first"),
            waiting(request("1", keypair="A"), seq=2, name="second"),
            waiting(request("2", keypair="A"), seq=3, name="third"),
        ],
        scheduler,
    )

    assert ["first", "second", "third"] == placed(made, scheduler)


def test_a_higher_band_goes_first_whatever_its_owner_holds() -> None:
    """K2: and the lower one is served, too."""
    scheduler = DrfScheduler({})
    sessions = [
        waiting(request(keypair="B"), seq=1, name="low", priority=0),
        *[waiting(request(keypair="A"), priority=50, seq=9 + n, name=f"A{n}") for n in range(2)],
    ]
    made = snapshot([agent("a", 64_000)], sessions, scheduler)

    assert ["A0", "A1", "low"] == placed(made, scheduler)


def test_what_no_agent_has_any_more_is_nobodys_share() -> None:
    context = SchedulingContext(capacity={"cpu": 10}, held={"A": {"cuda": 5_000}, "B": {"cpu": 1}})
    heads = [*of("B", 1, 0), *of("A", 1, 1)]

    assert ["A0", "B0"] == order(DrfScheduler({}), heads, context)


# Stepping over what was refused often


def refused_twice(*, skip: int) -> tuple[Snapshot, FifoScheduler]:
    """A full agent on which a session of two cores found no room twice; then small ones came."""
    scheduler = FifoScheduler({"num_retries_to_skip": skip})
    large = waiting(request("2"), seq=1, name="large")
    made = snapshot([agent("a", 3000, free={"cpu": 0, "mem": 8192})], [large], scheduler)
    for _ in range(2):
        made.waiting.wake_all()
        assert [] == placed(made, scheduler)
    for number in range(5):
        made.waiting.add(waiting(request("1"), seq=2 + number, name=f"small{number}"))
    return made, scheduler


def free_two(made: Snapshot, scheduler: FifoScheduler) -> list[str]:
    made.agents.give("a", {"cpu": 2000})
    made.waiting.wake(AGENTS)
    return placed(made, scheduler)


def test_who_was_refused_so_often_is_stepped_over_once() -> None:
    """K2: once; then it is first again."""
    made, scheduler = refused_twice(skip=2)

    assert ["small0", "small1"] == free_two(made, scheduler)
    assert ["large"] == free_two(made, scheduler)


@pytest.mark.parametrize("skip", [0, 3])
def test_who_was_not_refused_so_often_is_tried_first(skip: int) -> None:
    made, scheduler = refused_twice(skip=skip)

    assert ["large"] == free_two(made, scheduler)


def test_who_is_stepped_over_still_comes_before_a_lower_band() -> None:
    scheduler = FifoScheduler({"num_retries_to_skip": 1})
    refused = waiting(request("2"), seq=1, name="refused")
    low = waiting(request("1"), seq=2, name="low", priority=0)
    scheduler.prioritize(SchedulingContext(), [refused, low])
    scheduler.update_refusal(refused)

    assert ["refused", "low"] == order(scheduler, [refused, low], SchedulingContext())


def test_a_placement_begins_the_count_anew() -> None:
    scheduler = FifoScheduler({"num_retries_to_skip": 1})
    one, other = waiting(request("2"), seq=1, name="one"), waiting(seq=2, name="other")
    scheduler.prioritize(SchedulingContext(), [one, other])
    scheduler.update_refusal(one)
    scheduler.update_allocation(one, None)

    assert ["one", "other"] == order(scheduler, [one, other], SchedulingContext())


def test_refusals_of_requests_that_never_come_back_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.cycle.sequencers.fifo._COUNTED", 3)
    scheduler = FifoScheduler({"num_retries_to_skip": 1})

    for number in range(9):
        scheduler.update_refusal(waiting(request(f"{number + 1}m")))

    assert 3 == len(scheduler._refusals)


# Ageing


@pytest.mark.parametrize("plugin", ALL)
def test_a_band_is_as_high_as_asked_unless_ageing_is_asked_for(plugin: Any) -> None:
    heads = [
        waiting(seq=1, name="old", priority=0, since=0),
        waiting(seq=2, name="new", since=999 * HOUR),
    ]

    assert ["new", "old"] == order(plugin({}), heads, SchedulingContext(now_ms=999 * HOUR))


@pytest.mark.parametrize("plugin", ALL)
@pytest.mark.parametrize(("hours", "first"), [(9, "new"), (11, "old")])
def test_a_session_counts_one_priority_higher_per_duration(
    plugin: Any, hours: int, first: str
) -> None:
    """K2: so nothing waits for ever."""
    now = hours * HOUR + 1
    heads = [
        waiting(seq=1, name="old", priority=0, since=0),
        waiting(seq=2, name="new", since=now),
    ]

    found = order(plugin({"ageing": "1h"}), heads, SchedulingContext(now_ms=now))

    assert first == found[0]


@pytest.mark.parametrize("plugin", ALL)
def test_nobody_falls_below_what_was_asked_where_the_clock_was_read_before(plugin: Any) -> None:
    heads = [
        waiting(seq=2, name="asked 10", since=HOUR),
        waiting(seq=1, name="asked 9", since=HOUR - 1, priority=9),
    ]

    found = order(plugin({"ageing": "1h"}), heads, SchedulingContext(now_ms=HOUR - 1))

    assert ["asked 10", "asked 9"] == found


@pytest.mark.parametrize("plugin", ALL)
def test_who_rose_beyond_a_hundred_stands_before_all_that_still_come(plugin: Any) -> None:
    now = 200 * HOUR
    heads = [
        waiting(request(keypair="A"), seq=1, name="old", priority=0, since=0),
        waiting(request(keypair="B"), seq=9, name="new", priority=100, since=now),
    ]
    held = {"A": {"cpu": 5}}
    context = SchedulingContext(now_ms=now, capacity={"cpu": 10}, held=held)

    assert ["old", "new"] == order(plugin({"ageing": "1h"}), heads, context)


# Options


@pytest.mark.parametrize(
    ("plugin", "opts", "says"),
    [
        (FifoScheduler, {"ageing": "soon"}, "option 'ageing' of fifo: it must be a duration"),
        (LifoScheduler, {"ageing": -1}, "it must be more than zero, got -1"),
        (LifoScheduler, {"num_retries_to_skip": 1}, "lifo has no option 'num_retries_to_skip'"),
        (FifoScheduler, {"num_retries_to_skip": -1}, "greater than or equal to 0, got -1"),
        (DrfScheduler, {"weights": {"A": 0}}, "'weights' of drf: input should be greater than 0"),
        (DrfScheduler, {"weights": "A=2"}, "should be a valid dictionary"),
        (DrfScheduler, {"half_life": "7d"}, "there are: ageing, weights"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_a_sentence(
    plugin: Any, opts: Mapping[str, Any], says: str
) -> None:
    """K1, K2."""
    with pytest.raises(InvalidSetting, match=says):
        plugin(opts)


@pytest.mark.parametrize("value", ["90m", 5400, "5400"])
def test_durations_are_read_as_everywhere(value: str | int) -> None:
    assert 90 * 60_000 == FifoScheduler({"ageing": value})._ageing_ms


def test_turns_of_offices_go_on_from_what_was_kept() -> None:
    """J5."""

    def jobs(scheduler: FifoScheduler, *offices: str) -> list[str]:
        heads = [
            waiting(request(scopes=office_scopes(office, "")), seq=n)
            for n, office in enumerate(offices)
        ]
        scheduler.prioritize(SchedulingContext(), heads)
        order = []
        while session := scheduler.pick_session():
            order.append(session.request.office)
            scheduler.update_allocation(session, None)
        return order

    before, after = FifoScheduler({}), FifoScheduler({})
    assert before.state() is None
    jobs(before, "a")
    assert before.state() is None, "nobody takes turns alone"
    jobs(before, "c", "b")
    kept = before.state()
    assert '["a","b","c"]' == kept
    after.restore(kept)

    assert ["d", "a", "b", "c"] == jobs(after, "a", "b", "c", "d")
    for nonsense in ("{}", "[1]"):
        with pytest.raises(ValueError, match="no list of offices"):
            after.restore(nonsense)


def test_of_many_offices_those_served_last_are_kept() -> None:
    scheduler = FifoScheduler({})
    for n in range(1_500):
        placed = waiting(request(scopes=office_scopes(f"o{n}", "")), seq=n)
        scheduler.update_allocation(placed, None)

    found = json.loads(scheduler.state() or "[]")
    assert (1_000, "o500", "o1499") == (len(found), found[0], found[-1])
