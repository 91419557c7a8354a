"""Fifty offices, three replicas, the leader killed five times: limits at every instant, order, and all ended."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from random import Random

import pytest

from scheduler import SessionSpec
from scheduler.domain.events import EventData
from scheduler.domain.office import office_scopes
from scheduler.domain.states import PLACED
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

Make = Callable[..., Bench]
OFFICES = [f"office-{number}" for number in range(50)]
#: The whole of it, 20000, takes a minute on two quiet cores; docs/reliability.md.
JOBS = int(os.environ.get("SCHEDULER_TEST_JOBS", "1000"))
KILLS = 5
LIMIT, REVIEWERS = 3, 1
_HOLD = {f"session.{state.lower()}" for state in PLACED}


def jobs_of(bench: Bench, office: str, count: int) -> list[SessionSpec]:
    """Jobs of several priorities; every fourth is a reviewer's, of whom one works at a time."""
    chance = Random(office)  # noqa: S311 - the same each run
    return [
        bench.spec(
            "work",
            slots={"cpu": "10m"},
            priority=chance.choice((10, 10, 50, 90)),
            scopes=office_scopes(office, "reviewer" if number % 4 == 0 else "builder"),
        )
        for number in range(count)
    ]


def most_at_once(events: Sequence[EventData], owners: Mapping[str, str]) -> Counter[str]:
    """The most sessions that an owner had placed after any event."""
    held: dict[str, set[str]] = defaultdict(set)
    most: Counter[str] = Counter()
    for event in events:
        session = event.fields.get("session", "")
        owner = owners.get(session)
        if owner is None or event.name == "session.cancel_requested":
            continue
        (held[owner].add if event.name in _HOLD else held[owner].discard)(session)
        most[owner] = max(most[owner], len(held[owner]))
    return most


def first_placed(events: Sequence[EventData]) -> list[str]:
    """Sessions in the order in which they were placed first; a killed leader's may be placed again."""
    placed = (event.fields["session"] for event in events if event.name == "session.scheduled")
    return list(dict.fromkeys(placed))


def test_fifty_offices_keep_their_limits_and_their_order_while_leaders_die(
    make_bench: Make,
) -> None:
    """J2, J6, J10, X8: each office three at a time, one reviewer of each; by priority, then by age."""
    bench = make_bench(replicas=3, agents=2, EVENTS_CAP="1000000")
    store = bench.client.store
    for office in OFFICES:
        store.offices.create(
            office,
            {
                "max_concurrent_jobs": LIMIT,
                "max_concurrent_by_role": {"reviewer": REVIEWERS},
                "roles": ["builder"],
            },
        )
    store.groups.pause("default", "all are submitted before the first is placed")
    specs = list(
        chain.from_iterable(
            zip(*(jobs_of(bench, name, JOBS // len(OFFICES)) for name in OFFICES), strict=True)
        )
    )
    ids = [session.id for session in bench.enqueue_many(specs)]
    store.groups.resume("default")
    for number in range(1, KILLS + 1):
        aim = number * len(ids) // (KILLS + 1)
        wait_until(
            lambda aim=aim: succeeded(bench) >= aim,  # type: ignore[misc]
            within=240,
            saying=f"{aim} of {len(ids)} never ended",
        )
        killed = bench.cluster.wait_for_leader()
        bench.cluster.kill(killed)
        bench.cluster.start_replica(killed)
    bench.wait_for_all(within=240)

    assert len(ids) == succeeded(bench)
    # An order that a killed leader's successor withdrew starts nothing; none was started twice.
    bench.check()
    events = bench.cluster.evidence(bench.witness).events
    offices = {i: spec.scopes["office"] for i, spec in zip(ids, specs, strict=True)}
    reviewers = {
        i: spec.scopes["role"]
        for i, spec in zip(ids, specs, strict=True)
        if spec.scopes["role"].endswith("/reviewer")
    }
    assert dict.fromkeys(OFFICES, LIMIT) == dict(most_at_once(events, offices))
    assert {REVIEWERS} == set(most_at_once(events, reviewers).values())
    ranks = {
        i: (-spec.priority, number) for number, (i, spec) in enumerate(zip(ids, specs, strict=True))
    }
    lanes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for session in first_placed(events):
        lanes[specs[ranks[session][1]].scopes["role"]].append(ranks[session])
    assert {role: sorted(lane) for role, lane in lanes.items()} == lanes
