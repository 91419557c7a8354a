"""Deadlines with real kernels: they outlive the leader, move while a kernel runs, and no clock but Redis' counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler import Session, SessionState
from scheduler.testing import wait_until
from tests.acceptance.conftest import KERNELS, Bench

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

Make = Callable[..., Bench]
HOUR_S = 3_600
MARGIN_S = 30
SLOTS = {"cpu": "500m"}
IN_THREE_S = ("--not-before", "+3s")


def app_an_hour_ahead(bench: Bench, *words: str) -> str:
    """What an app says whose clock is wrong; the CLI is one."""
    skewed = str(Path(__file__).parent / "skewed")
    environment = os.environ | bench.cluster.environment
    environment |= {"PYTHONPATH": skewed, "CLOCK_SKEW_S": str(HOUR_S)}
    command = [sys.executable, "-m", "scheduler.cli", *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def submitted_an_hour_ahead(bench: Bench, kernel: str, argument: str, *options: str) -> Session:
    env = ["--env", f"WITNESS_FILE={bench.witness}"]
    work = ["--callable", f"{KERNELS}:{kernel}", "--args", f"[{argument}]", "--slots", "cpu=500m"]
    told = app_an_hour_ahead(bench, "session", "submit", *options, *env, *work)
    session = bench.client.session(told.splitlines()[-1].split()[0])
    bench.sessions.append(session)
    return session


def test_deadlines_outlive_the_leader_and_move_while_kernels_run(make_bench: Make) -> None:
    """J4, X8: the leader is killed while they run; one time shorter, one longer, one by a wrong clock."""
    bench = make_bench(replicas=2, agents=1, RETRY_INITIAL="1s")
    of_app = submitted_an_hour_ahead(bench, "work", "60", "--timeout", "1h")
    held_back = submitted_an_hour_ahead(bench, "fail_until", "2", "--retries", "1", *IN_THREE_S)
    due = bench.enqueue("work", 60, timeout="3s", slots=SLOTS)
    longer = bench.enqueue("work", 12, timeout="8s", slots=SLOTS)
    shorter = bench.enqueue("work", 60, timeout="1h", slots=SLOTS)
    wait_until(lambda: bench.started(shorter), within=90, saying="it never started")
    # What this leader did not note of its start the next one would, when it is over.
    bench.wait_for_event("session.running", 0, session=due.id)
    bench.cluster.kill(bench.cluster.wait_for_leader())
    longer.set_timeout("1m")
    shorter.set_timeout("2s")
    app_an_hour_ahead(bench, "session", "timeout", of_app.id, "2s")
    bench.wait_for_all(within=60)

    timed_out = (due, shorter, of_app)
    assert {SessionState.TIMED_OUT} == {session.state for session in timed_out}
    assert {SessionState.SUCCEEDED} == {s.state for s in (longer, held_back)}
    ended = [e.fields["session"] for e in bench.events("session.timed_out")]
    assert sorted(session.id for session in timed_out) == sorted(ended)
    assert {1} == {session.data.attempt for session in timed_out}
    running = {e.fields["session"]: int(e.fields["at"]) for e in bench.events("session.running")}
    took = ((due.data.ended_at or 0) - running[due.id]) / 1000
    # The leader notes that it runs some time after it began to.
    assert 1 <= took < 3 + MARGIN_S
    waited = (held_back.data.history[0].started_at - held_back.data.submitted_at) / 1000
    # The app reads its clock before it submits; +3s is counted by Redis' clock, or it would be an hour.
    assert 1 <= waited < 3 + 2 * MARGIN_S
    first, second = held_back.data.history
    assert 0.4 < (second.started_at - (first.ended_at or 0)) / 1000 < 2 + 2 * MARGIN_S
    bench.check(runs=2)
