"""Offices take turns: one placement each, whatever one of them has waiting."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.scheduler import propose
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.sequencers.lifo import LifoScheduler
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.office import office_scopes
from scheduler.plugins.interfaces import AbstractScheduler
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

OFFICES = ("", "acme", "beta", "corp")
ROLES = ("", "build", "test")
ROOM = 1_000_000
PLUGINS = st.sampled_from([FifoScheduler, LifoScheduler])
#: (office, role, priority)
JOB = st.tuples(st.sampled_from(OFFICES), st.sampled_from(ROLES), st.sampled_from([0, 10, 11, 100]))
JOBS = st.lists(JOB, max_size=40)
#: Jobs that come before each plan, and how much the plan may place.
COMING = st.lists(st.tuples(JOBS, st.integers(1, 20)), min_size=1, max_size=5)

Job = tuple[str, str, int]


def job(asked: Job, seq: int) -> WaitingSession:
    office, role, priority = asked
    scopes = office_scopes(office, role) if office else {}
    return waiting(request(scopes=scopes), priority=priority, seq=seq)


def office(session: WaitingSession) -> str:
    return session.request.office


def place(made: Snapshot, scheduler: AbstractScheduler, limit: int) -> list[WaitingSession]:
    plan = propose(made, policy(scheduler=scheduler, validators=()), limit=limit)
    return [placement.session for placement in plan.placements]


@given(COMING, PLUGINS)
def test_between_two_placements_of_an_office_every_other_has_one(
    coming: list[tuple[list[Job], int]], plugin: type[AbstractScheduler]
) -> None:
    """J5: over all plans, also for who comes late, and whatever its priority."""
    scheduler, number = plugin({}), 0
    made = snapshot([agent("a", ROOM, free={"cpu": ROOM, "mem": ROOM})], (), scheduler)
    left: Counter[str] = Counter()
    owed: dict[str, set[str]] = {}  # by office: who must have a turn before it has its next one
    for jobs, limit in coming:
        for asked in jobs:
            number += 1
            made.waiting.add(job(asked, number))
            left[asked[0]] += 1
        for session in place(made, scheduler, limit):
            mine = office(session)
            left[mine] -= 1
            assert not {other for other in owed.get(mine, set()) if left[other]}
            for others in owed.values():
                others.discard(mine)
            owed[mine] = {other for other in OFFICES if other != mine and left[other]}


@given(JOBS, st.integers(1, 60), PLUGINS)
def test_inside_an_office_priority_comes_before_the_order_of_the_scheduler(
    jobs: list[Job], limit: int, plugin: type[AbstractScheduler]
) -> None:
    """J5."""
    scheduler = plugin({})
    sessions = [job(asked, number) for number, asked in enumerate(jobs)]
    made = snapshot([agent("a", ROOM, free={"cpu": ROOM, "mem": ROOM})], sessions, scheduler)

    placed = place(made, scheduler, limit)

    sign = 1 if plugin is FifoScheduler else -1
    for name in OFFICES:
        mine = [session for session in placed if office(session) == name]
        assert sorted(mine, key=lambda s: (-s.priority, sign * s.seq)) == mine


@pytest.mark.parametrize("plugin", [FifoScheduler, LifoScheduler])
def test_one_with_ten_thousand_delays_the_others_by_one_placement_each(
    plugin: type[AbstractScheduler],
) -> None:
    """J5: the figure of the issue; who comes while it is served waits for one placement at most."""
    scheduler = plugin({})
    crowd = [job(("acme", "", 100), number) for number in range(10_000)]
    made = snapshot([agent("a", ROOM, free={"cpu": ROOM, "mem": ROOM})], crowd, scheduler)
    place(made, scheduler, 50)
    for number, name in enumerate(("beta", "corp", "beta")):
        made.waiting.add(job((name, "", 0), 20_000 + number))

    placed = [office(session) for session in place(made, scheduler, 6)]

    assert ["beta", "corp", "acme", "beta", "acme", "acme"] == placed


def test_an_office_whose_first_finds_no_room_has_its_turn_with_the_next() -> None:
    """J5: a refusal is no turn, and stops neither its office nor the others."""
    scheduler = FifoScheduler({})
    sessions = [
        waiting(request("64", scopes=office_scopes("acme")), seq=1),
        job(("acme", "", 10), 2),
        job(("beta", "", 10), 3),
    ]
    made = snapshot([agent("a", 4_000)], sessions, scheduler)

    placed = place(made, scheduler, 10)

    assert [2, 3] == [session.seq for session in placed]


def test_who_is_not_remembered_goes_first_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """J5: what is remembered of offices is bounded."""
    monkeypatch.setattr("scheduler.cycle.sequencers.queue._REMEMBERED", 2)
    scheduler = FifoScheduler({})
    jobs = [job((name, "", 10), n) for n, name in enumerate(("acme", "beta", "corp") * 2)]
    made = snapshot([agent("a", 100_000)], jobs, scheduler)

    placed = [office(session) for session in place(made, scheduler, 10)]

    assert sorted(("acme", "beta", "corp") * 2) == sorted(placed)
    assert 2 == len(scheduler._turns)
