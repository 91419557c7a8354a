"""Limits hold at every instant and gangs stay whole, while leaders and an agent are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from scheduler import SessionSpec, SessionState
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.states import PLACED
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(200)]

Make = Callable[..., Bench]
ALICE, CAROL, VISION = Scope("user", "alice"), Scope("user", "carol"), Scope("group", "vision")
#: How much of each scope may be held at once: sessions, or milli of cpu.
MOST: Mapping[Scope, int] = {ALICE: 3, CAROL: 2, VISION: 2_000}
_HOLD = {f"session.{state.lower()}" for state in PLACED}


def work(bench: Bench, count: int, seconds: float, **asked: object) -> list[SessionSpec]:
    return [bench.spec("work", seconds, **asked) for _ in range(count)]


def most_held(bench: Bench, charges: Mapping[str, tuple[Scope, int]]) -> Counter[Scope]:
    """The most that was held of each scope after any event."""
    most: Counter[Scope] = Counter()
    held: Counter[Scope] = Counter()
    holding: set[str] = set()
    for event in bench.cluster.evidence(bench.witness).events:
        session = event.fields.get("session", "")
        if session not in charges or event.name == "session.cancel_requested":
            continue
        scope, amount = charges[session]
        if event.name in _HOLD and session not in holding:
            holding.add(session)
            held[scope] += amount
        elif event.name not in _HOLD and session in holding:
            holding.remove(session)
            held[scope] -= amount
        most[scope] = max(most[scope], held[scope])
    assert not holding, "a session never gave its scopes back"
    return most


def test_limits_hold_and_gangs_stay_whole_while_leaders_and_an_agent_are_killed(
    make_bench: Make,
) -> None:
    """K6, K8, K10, X8."""
    bench = make_bench(replicas=3, agents=3)
    scopes = bench.client.store.scopes
    scopes.limit(ALICE, ScopeLimits(max_sessions=MOST[ALICE]))
    scopes.limit(CAROL, ScopeLimits(max_sessions=MOST[CAROL]))
    scopes.limit(VISION, ScopeLimits(max_slots={"cpu": MOST[VISION]}))
    gang = {"cluster_mode": "multi-node", "kernels": [{"cpu": "1"}, {"cpu": "500m"}]}
    alices = bench.enqueue_many(
        work(bench, 120, 0.05, slots={"cpu": "250m"}, scopes={"user": "alice"})
    )
    carols = bench.enqueue_many(work(bench, 40, 0.1, scopes={"user": "carol"}, **gang))
    visions = bench.enqueue_many(
        work(bench, 80, 0.1, slots={"cpu": "500m"}, scopes={"group": "vision"})
    )
    charges = {
        **{session.id: (ALICE, 1) for session in alices},
        **{session.id: (CAROL, 1) for session in carols},
        **{session.id: (VISION, 500) for session in visions},
    }
    for number in range(1, 5):
        wait_until(
            lambda aim=number * 40: succeeded(bench) >= aim,  # type: ignore[misc]
            within=60,
            saying=f"{number * 40} never ended",
        )
        killed = bench.cluster.wait_for_leader()
        bench.cluster.kill(killed)
        bench.cluster.start_replica(killed)
        if number == 2:
            bench.cluster.kill("a1")
            bench.cluster.start_agent("a1", slots="cpu=4,mem=4GiB")
    bench.wait_for_all(within=120)

    assert 240 == succeeded(bench)
    # A gang has two kernels, each of which says that it starts.
    bench.check(runs=4)
    most = most_held(bench, charges)
    assert MOST == dict(most), "each limit must be reached, and none exceeded"
    assert all(session.state is SessionState.SUCCEEDED for session in carols)
