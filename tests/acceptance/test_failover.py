"""The primary dies and Sentinel promotes its replica: with all that was acknowledged, and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from scheduler import Session, SessionState
from scheduler.testing import WatchedRedis, wait_until
from scheduler.testing.watched import client_of
from tests.acceptance.conftest import Bench
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

Make = Callable[..., Bench]
#: Long enough that no kernel dies of the failover itself, on a machine however busy.
LEASE = {"LEASE": "20s", "FAILOVER_PATIENCE": "60s"}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedRedis]:
    made = WatchedRedis(tmp_path / "watched", sentinels=3)
    yield made
    made.stop()


def epochs(bench: Bench) -> int:
    events = bench.cluster.evidence(bench.witness).events
    return sum(event.name == "epoch.began" for event in events)


def test_a_failover_with_a_replica_in_sync_loses_nothing(
    make_bench: Make, watched: WatchedRedis
) -> None:
    """X8: the primary is killed under load; an app that submits meanwhile waits, and the old primary comes back."""
    bench = make_bench(replicas=2, agents=2, watched=watched, **LEASE)
    bench.enqueue_many([bench.spec("work", 0.05, slots={"cpu": "500m"}) for _ in range(300)])
    wait_until(lambda: succeeded(bench) >= 50, within=60, saying="the first 50 never ended")
    with client_of(watched.first) as primary:
        # Writes wait from here on, none is refused: what was acknowledged is what WAIT waits for.
        primary.client_pause(30_000, all=False)
        watched.wait_in_sync()
    watched.first.kill()
    late = bench.enqueue("work", idempotency_key="during the failover")
    watched.first.start()
    watched.wait_for_failover()
    watched.wait_until_first_follows()
    bench.wait_for_all(within=120)
    again = bench.client.enqueue_many([bench.spec("work", idempotency_key="during the failover")])

    assert 301 == succeeded(bench)
    assert [late.id] == [session.id for session in again]
    assert 1 == epochs(bench)
    bench.check()


def test_a_failover_that_loses_writes_loses_what_is_promised_and_no_more(
    make_bench: Make, watched: WatchedRedis
) -> None:
    """X8; docs/reliability.md, What a failover of Redis can lose.

    Lost may be: a submit (its id is unknown), an end (the session runs again), a placement (its
    kernel is stopped, the session runs again), an agent's admission (it is admitted again). What the
    survivor knows ends once on record, and no two attempts run at the same time.
    """
    bench = make_bench(replicas=2, agents=2, watched=watched, **LEASE)
    long = bench.enqueue_many([bench.spec("tick", 15) for _ in range(2)])
    wait_until(lambda: all(map(bench.started, long)), within=90, saying="the long ones never ran")
    known = [*long, *bench.enqueue_many([bench.spec("tick", 2) for _ in range(48)])]
    wait_until(lambda: succeeded(bench) >= 4, within=90, saying="the first 4 never ended")
    watched.wait_in_sync()
    watched.stop_replicating()
    before = succeeded(bench)
    bench.cluster.start_agent("late", slots="cpu=8,mem=8GiB")
    bench.cluster.wait_for_agents("late")
    lost = bench.enqueue_many([bench.spec("tick", 2, priority=90) for _ in range(5)])
    # Only the late agent has room for it, so that it holds something when it is forgotten.
    lost += bench.enqueue_many([bench.spec("tick", 300, priority=90, slots={"cpu": "5"})])
    wait_until(
        lambda: succeeded(bench) >= before + 8 and all(map(bench.started, lost)),
        within=60,
        saying="no ends were there to lose",
    )
    watched.first.kill()
    bench.sessions = known
    bench.wait_for_all(within=120)
    bench.cluster.wait_for_agents("a1", "a2", "late", within=60)
    bench.enqueue_many([bench.spec("work") for _ in range(10)])
    bench.wait_for_all(within=60)

    assert {SessionState.SUCCEEDED} == {session.state for session in bench.sessions}
    assert [] == bench.client.store.sessions.many(session.id for session in lost)
    # What the survivor knew to run went on: nothing of it was lost.
    assert {1} == {len(spans(bench, session)) for session in long}
    assert [] == [session.id for session in [*known, *lost] if overlap(spans(bench, session))]
    wait_until(
        lambda: "agent.forgotten" in bench.cluster.log("late"),
        within=90,
        saying="the agent whose admission was lost never noticed",
    )
    assert 1 == epochs(bench)
    bench.check(runs=2)


def spans(bench: Bench, session: Session) -> list[tuple[int, int]]:
    """From the first to the last sign of life of each kernel, in order of their starts."""
    seen: dict[str, list[int]] = {}
    for entry in bench.cluster.evidence(bench.witness).witness:
        if entry.session == session.id:
            seen.setdefault(entry.name, []).append(entry.at_ns)
    return sorted((min(times), max(times)) for times in seen.values())


def overlap(found: list[tuple[int, int]]) -> bool:
    return any(later[0] < earlier[1] for earlier, later in pairwise(found))
