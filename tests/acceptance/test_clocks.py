"""Replicas and agents whose wall clock is an hour off: only Redis' clock decides anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler import SessionState
from tests.acceptance.conftest import Bench

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

Make = Callable[..., Bench]
HOUR_S = 3_600
#: Nothing below may be off by more than this, in s; a busy machine takes its time.
MARGIN_S = 30


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def logged_at(bench: Bench, name: str) -> datetime:
    """When a process began, by its own clock."""
    return datetime.fromisoformat(json.loads(bench.cluster.log(name).splitlines()[0])["timestamp"])


@pytest.mark.parametrize("skew", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
def test_clocks_an_hour_off_change_nothing(make_bench: Make, skew: int) -> None:
    """X8: a leader and an agent that are an hour wrong, and an agent that is as wrong the other way."""
    bench = make_bench(replicas=0, agents=0, LEASE="6s", NOT_READY_AFTER="6s", RETRY_INITIAL="1s")
    path = str(Path(__file__).parent / "skewed")

    def wrong_by(seconds: int) -> dict[str, str]:
        return {"PYTHONPATH": path, "CLOCK_SKEW_S": str(seconds)}

    began = at(bench.now_ms())
    bench.cluster.start("r1", ["replica", "run", "--name", "r1"], wrong_by(skew))
    for agent, seconds in (("a1", skew), ("a2", -skew)):
        bench.start_agent_behind(bench.cluster.redis.port, agent, environment=wrong_by(seconds))
    bench.cluster.wait_for_leader()
    bench.cluster.wait_for_agents("a1", "a2")
    submitted = bench.now_ms()
    start = at(submitted + 3_000)
    held_back = bench.enqueue("work", not_before=start)
    too_long = bench.enqueue("work", 60, timeout="2s")
    long = bench.enqueue("work", 8)  # longer than the lease
    retried = bench.enqueue("fail_until", 2, retries=1)
    quick = bench.enqueue_many([bench.spec("work", slots={"cpu": "250m"}) for _ in range(20)])
    bench.wait_for_all(within=60)

    for name, off in (("r1", skew), ("a1", skew), ("a2", -skew)):
        assert abs((logged_at(bench, name) - began).total_seconds() - off) < HOUR_S / 60
    assert SessionState.TIMED_OUT is too_long.state
    assert {SessionState.SUCCEEDED} == {s.state for s in (held_back, long, retried, *quick)}
    assert 2 == len(retried.data.history)
    running = {e.fields["session"]: int(e.fields["at"]) for e in bench.events("session.running")}
    ends = {s.id: s.data.ended_at or 0 for s in bench.sessions}
    started_after = (running[held_back.id] - int(start.timestamp() * 1000)) / 1000
    assert 0 <= started_after < MARGIN_S
    # The leader notes that they run some time after they began to.
    assert 1 <= (ends[too_long.id] - running[too_long.id]) / 1000 < 2 + MARGIN_S
    assert 6 <= (ends[long.id] - running[long.id]) / 1000 < 8 + MARGIN_S
    first, second = retried.data.history
    assert 0.4 < (second.started_at - (first.ended_at or 0)) / 1000 < 2 + MARGIN_S
    assert all(
        submitted <= s.data.submitted_at <= running[s.id] <= ends[s.id] for s in bench.sessions
    )
    assert {0} == {s.data.rescues for s in bench.sessions}
    assert [] == bench.events("agent.lost", "agent.not_ready")
    bench.check(runs=2)
