"""What Redis holds, or knows, is taken away under a running cluster: it goes on, and nothing runs on unknown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from time import monotonic_ns

import pytest
import redis

from scheduler import SessionState
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

Make = Callable[..., Bench]


def wipe_by_restart(bench: Bench) -> None:
    """Redis dies, and so does its disk."""
    bench.cluster.redis.kill()
    shutil.rmtree(bench.cluster.redis.directory)
    bench.cluster.redis.restart()


def wipe_by_command(bench: Bench) -> None:
    """Somebody types the wrong words in the wrong window."""
    with redis.Redis.from_url(bench.cluster.redis.url) as client:
        client.flushall()


@pytest.mark.parametrize("wipe", [wipe_by_restart, wipe_by_command])
def test_a_wiped_redis_is_taken_into_use_again_and_what_nobody_knows_is_stopped(
    make_bench: Make, wipe: Callable[[Bench], None]
) -> None:
    """All sessions are lost, which nobody can mend; new ones run, and no kernel is left behind."""
    bench = make_bench(replicas=2, agents=2, NOT_READY_AFTER="1s")
    bench.enqueue_many([bench.spec("with_children", 600) for _ in range(4)])
    bench.enqueue_many([bench.spec("work", 0.05, slots={"cpu": "250m"}) for _ in range(100)])
    bench.wait_for_starts()
    wipe(bench)
    lost, bench.sessions = bench.sessions[:4], []

    bench.cluster.wait_for_leader(within=90)
    bench.cluster.wait_for_agents("a1", "a2", within=90)
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(50)])
    bench.wait_for_all(within=90)

    def beating() -> set[str]:
        beats = bench.client.store.agents.beats(["a1", "a2"])
        return {order for beat in beats.values() for order in beat.running}

    wait_until(lambda: not beating(), within=90, saying="what nobody knows still runs")
    dead_since = monotonic_ns()
    assert 50 == succeeded(bench)
    assert 4 == len(lost)
    bench.check()
    assert set() == bench.cluster.evidence(bench.witness).alive_after(dead_since)


def test_scripts_that_are_flushed_again_and_again_are_loaded_again(make_bench: Make) -> None:
    """SCRIPT FLUSH under load, as a failover or an operator does it."""
    bench = make_bench(replicas=1, agents=2)
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(300)])
    for aim in range(20, 300, 20):
        bench.client.store.client.script_flush()
        wait_until(
            lambda aim=aim: succeeded(bench) >= aim,  # type: ignore[misc]
            within=60,
            saying=f"{aim} never ended",
        )
    bench.wait_for_all(within=60)

    assert {300} == {bench.client.store.sessions.counts("default")[SessionState.SUCCEEDED]}
    bench.check()


def test_connections_that_are_killed_again_and_again_are_made_again(make_bench: Make) -> None:
    """CLIENT KILL TYPE normal under load: every process reconnects, what was sent twice counts once."""
    bench = make_bench(replicas=2, agents=2, LEASE="15s")
    # An order whose id was popped, and the answer lost, is placed anew once it counts as unclaimed.
    bench.client.store.groups.configure("default", {"claim_timeout_ms": 2_000})
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(400)])
    for aim in range(20, 400, 20):
        bench.client.store.client.client_kill_filter(_type="normal", skipme=True)
        wait_until(
            lambda aim=aim: succeeded(bench) >= aim,  # type: ignore[misc]
            within=60,
            saying=f"{aim} never ended",
        )
    bench.wait_for_all(within=60)

    assert [] == bench.events("agent.lost")
    # A claim whose answer was lost is told as an end: that kernel never started, its session does anew.
    bench.check(runs=1)


def test_five_replicas_that_start_at_once_elect_one(make_bench: Make) -> None:
    """D1: nobody leads beside another, and nobody is deposed for it."""
    bench = make_bench(replicas=5, agents=1)
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(50)])
    bench.wait_for_all(within=60)

    assert ["leader.elected"] == [e.name for e in bench.events("leader.elected", "leader.resigned")]
    assert "late_writes" not in bench.client.store.leadership.show("default")
    bench.check()
