"""Processes are frozen and cut off, Redis is away or full: nobody writes late, nobody is rescued wrongly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from scheduler import SchedulerError, SessionState
from scheduler.domain.agent import AgentStatus
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.proxy import Proxy
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(200)]

Make = Callable[..., Bench]


def status(bench: Bench, agent: str) -> AgentStatus:
    return bench.client.store.agents.get(agent).status


def test_ten_leaders_killed_in_a_run_of_a_thousand_lose_nothing(make_bench: Make) -> None:
    """X8, X2: SIGKILL of whoever leads, ten times, each time the killed one is started again."""
    bench = make_bench(replicas=3, agents=2)
    bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(1_000)])
    for number in range(1, 11):
        wait_until(
            lambda aim=number * 80: succeeded(bench) >= aim,  # type: ignore[misc]
            within=60,
            saying=f"{number * 80} never ended",
        )
        killed = bench.cluster.wait_for_leader()
        bench.cluster.kill(killed)
        bench.cluster.start_replica(killed)
    bench.wait_for_all(within=100)

    assert 1_000 == succeeded(bench)
    bench.check()


def test_a_leader_frozen_past_its_lock_writes_nothing_late(make_bench: Make) -> None:
    """X1: SIGSTOP past the TTL, another takes over, SIGCONT: the old one notices and follows."""
    bench = make_bench(replicas=2, agents=1)
    specs = [bench.spec("work", 0.05, slots={"cpu": "250m"}) for _ in range(200)]
    bench.enqueue_many(specs)
    wait_until(lambda: succeeded(bench) >= 20, within=90, saying="the first 20 never ended")
    frozen = bench.cluster.wait_for_leader()
    bench.cluster.kill(frozen, signal.SIGSTOP)
    bench.cluster.wait_for_leader(other_than=frozen, within=30)
    bench.cluster.kill(frozen, signal.SIGCONT)
    bench.wait_for_all(within=60)

    assert frozen != bench.cluster.wait_for_leader()
    assert 200 == succeeded(bench)
    bench.check()


def test_an_agent_frozen_past_its_lease_loses_its_kernels_before_they_run_elsewhere(
    make_bench: Make,
) -> None:
    """X8: SIGSTOP past the lease, then SIGCONT: it is admitted again and takes work."""
    bench = make_bench(replicas=1, agents=2, slots="cpu=2,mem=2GiB")
    bench.enqueue_many([bench.spec("work", 6) for _ in range(4)])
    bench.wait_for_starts()
    bench.cluster.kill("a1", signal.SIGSTOP)
    wait_until(
        lambda: status(bench, "a1") is AgentStatus.LOST, within=90, saying="a1 was never lost"
    )
    bench.cluster.kill("a1", signal.SIGCONT)
    bench.wait_for_all(within=60)
    bench.cluster.wait_for_agents("a1", "a2")
    bench.client.store.agents.drain("a2")
    later = bench.enqueue("work")
    later.get(timeout=20)

    assert ["a1"] == [kernel.agent for kernel in later.data.kernels]
    assert 5 == succeeded(bench)
    bench.check(runs=2)


def test_an_agent_cut_off_past_its_lease_comes_back(
    make_bench: Make, proxy_to: Callable[[str], Proxy]
) -> None:
    """X8: nothing passes between agent and Redis; its kernels end by themselves and run elsewhere."""
    bench = make_bench(replicas=1, agents=1, slots="cpu=2,mem=2GiB")
    proxy = proxy_to(bench.cluster.redis.url)
    bench.start_agent_behind(proxy.port, "far", "cpu=2,mem=2GiB")
    bench.cluster.wait_for_agents("a1", "far")
    bench.enqueue_many([bench.spec("work", 5) for _ in range(4)])
    bench.wait_for_starts()
    proxy.cut()
    wait_until(
        lambda: status(bench, "far") is AgentStatus.LOST, within=90, saying="far was never lost"
    )
    proxy.mend()
    bench.wait_for_all(within=60)
    bench.cluster.wait_for_agents("a1", "far", within=90)

    assert 4 == succeeded(bench)
    bench.check(runs=2)


def test_redis_away_for_longer_than_beats_live_rescues_nobody(make_bench: Make) -> None:
    """X8: SIGKILL of Redis, down for longer than a lease; what ran to its end before that counts once."""
    bench = make_bench(replicas=2, agents=2, LEASE="3s")
    bench.enqueue_many([bench.spec("work", 0.05, slots={"cpu": "500m"}) for _ in range(300)])
    wait_until(lambda: succeeded(bench) >= 50, within=90, saying="the first 50 never ended")
    bench.cluster.redis.kill()
    # Not a wait for something to happen: the time that Redis is away is what is tested.
    threading.Event().wait(13)
    bench.cluster.redis.restart()
    bench.wait_for_all(within=90)

    assert 300 == succeeded(bench)
    bench.check(runs=2)


def test_a_redis_that_stalls_for_three_seconds_changes_nothing(make_bench: Make) -> None:
    """X8: every command waits for 3 s; the leader may lose its lock, and nothing else."""
    bench = make_bench(replicas=2, agents=2, LEASE="15s")
    bench.enqueue_many([bench.spec("work", 0.05, slots={"cpu": "500m"}) for _ in range(200)])
    wait_until(lambda: succeeded(bench) >= 50, within=90, saying="the first 50 never ended")
    bench.client.store.client.client_pause(3_000, all=True)
    bench.wait_for_all(within=60)

    assert 200 == succeeded(bench)
    bench.check()


def test_a_full_redis_refuses_submits_with_a_sentence_and_drains(make_bench: Make) -> None:
    """Architecture 6: what runs ends, then submits are admitted again."""
    bench = make_bench(replicas=1, agents=1)
    bench.enqueue_many([bench.spec("work", 0.2) for _ in range(20)])
    client = bench.client.store.client
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory", used + 8 * 2**20)

    def refused() -> str:
        try:
            bench.enqueue("work", "x" * 2**18)
        except SchedulerError as error:
            return str(error)
        return ""

    says = wait_until(refused, within=90, saying="no submit was ever refused")
    bench.wait_for_all(within=60)
    client.config_set("maxmemory", 0)
    wait_until(lambda: not refused(), within=90, saying="submits are still refused")
    bench.wait_for_all(within=90)

    assert "80 %" in says
    assert SessionState.SUCCEEDED is bench.sessions[0].state
    bench.check()


def test_a_leader_killed_on_a_full_redis_is_replaced_and_it_drains(make_bench: Make) -> None:
    """Architecture 6: nothing new can be written there, not even a lock by its library's way."""
    bench = make_bench(replicas=2, agents=1)
    bench.enqueue_many([bench.spec("work", 3) for _ in range(4)])
    wait_until(
        lambda: all(bench.started(s) for s in bench.sessions), within=90, saying="not all started"
    )
    client = bench.client.store.client
    client.config_set("maxmemory", 1)
    killed = bench.cluster.wait_for_leader()
    bench.cluster.kill(killed)
    bench.cluster.wait_for_leader(other_than=killed, within=30)
    bench.cluster.start_replica(killed)
    bench.wait_for_all(within=60)
    client.config_set("maxmemory", 0)

    assert 4 == succeeded(bench)
    bench.check()


def test_a_submit_whose_answer_was_lost_is_found_again(make_bench: Make) -> None:
    """K20: the same key asked again answers the same session, however often."""
    bench = make_bench(replicas=1, agents=1)
    keys = [f"key-{number}" for number in range(50)]
    first = bench.enqueue_many([bench.spec("work", idempotency_key=key) for key in keys])
    again = bench.client.enqueue_many([bench.spec("work", idempotency_key=key) for key in keys])
    bench.wait_for_all(within=60)

    assert [s.id for s in first] == [s.id for s in again]
    bench.check()
