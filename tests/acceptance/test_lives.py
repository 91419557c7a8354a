"""Cancels, timeouts, retries, doubled orders and drained agents, on one cluster of real processes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler import SessionState
from scheduler.protocol.names import OrderId
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench

pytestmark = pytest.mark.acceptance


@pytest.fixture(autouse=True)
def own_sessions(bench: Bench) -> None:
    """Each test checks its own sessions."""
    bench.sessions = []


def test_a_callable_returns_its_result(bench: Bench) -> None:
    """D4: an app enqueues from Python and reads what came back."""
    session = bench.enqueue("work")

    assert session.id == session.get(timeout=20)
    bench.check()


def test_a_command_prints_and_exits(bench: Bench) -> None:
    """D4: a command's output can be read, and its exit code."""
    session = bench.client.enqueue_command(
        ["sh", "-c", "echo answer: $((6 * 7)); exit 3"], name="answer"
    )
    session.wait(timeout=60)

    assert (SessionState.FAILED, 3, "answer: 42\n") == (
        session.state,
        session.exit_code,
        session.logs(),
    )


def test_a_session_of_several_kernels_knows_its_ranks(bench: Bench) -> None:
    """K10: kernels of one session start together and learn size and rank."""
    command = ["sh", "-c", "echo $CLUSTER_RANK of $CLUSTER_SIZE as $CLUSTER_ROLE"]
    session = bench.client.enqueue_command(command, cluster_size=3)
    session.wait(timeout=60)

    assert SessionState.SUCCEEDED == session.state
    assert ["0 of 3 as main\n", "1 of 3 as sub\n", "2 of 3 as sub\n"] == [
        session.logs(kernel=k) for k in range(3)
    ]


def test_dependents_run_after_their_parents(bench: Bench) -> None:
    """J1: a session starts when all it depends on has succeeded."""
    parents = bench.enqueue_many([bench.spec("work", 0.1) for _ in range(5)])
    child = bench.enqueue("work", depends_on=[p.id for p in parents])
    child.get(timeout=20)
    starts = {
        e.session: e.at_ns
        for e in bench.cluster.evidence(bench.witness).witness
        if e.what == "start"
    }
    ends = {
        e.session: e.at_ns for e in bench.cluster.evidence(bench.witness).witness if e.what == "end"
    }

    assert max(ends[p.id] for p in parents) < starts[child.id]
    bench.check()


def test_the_end_of_work_is_noticed_in_its_output(bench: Bench) -> None:
    """J9: by a line of a pattern, which is a success, or by silence, which is tried again."""
    script = "echo saved model 7; sleep 1000"
    said = bench.client.enqueue_command(["sh", "-c", script], done_pattern=r"saved model \d+")
    silent = bench.client.enqueue_command(["sleep", "1000"], silence_timeout=0.3, retries=1)
    (said.wait(timeout=60), silent.wait(timeout=60))

    assert (SessionState.SUCCEEDED, "done_pattern", "saved model 7\n") == (
        said.state,
        said.data.reason,
        said.logs(),
    )
    assert (SessionState.TIMED_OUT, "silent", 2) == (
        silent.state,
        silent.data.reason,
        silent.data.attempt,
    )
    told = bench.events("session.retrying", "session.timed_out")
    assert ["silent"] * 2 == [e.fields["reason"] for e in told if e.fields["session"] == silent.id]


def test_a_timeout_stops_the_kernel_and_says_so(bench: Bench) -> None:
    """J4: a session that runs for too long is stopped and ends as TIMED_OUT."""
    session = bench.enqueue("work", 60, timeout=0.5)
    data = session.wait(timeout=60)

    assert (SessionState.TIMED_OUT, "timed_out") == (data.state, data.reason)
    bench.check()


def test_a_failed_session_is_tried_again_after_its_back_off(bench: Bench) -> None:
    """J5: retries with back-off, one history row each."""
    session = bench.enqueue("fail_until", 3, retries=2)

    assert 3 == session.get(timeout=30)
    assert ["RETRYING", "RETRYING", "SUCCEEDED"] == [row.outcome for row in session.data.history]
    bench.check(runs=3)


def test_a_session_without_retries_left_fails_with_its_error(bench: Bench) -> None:
    """J5: the last failure is final, and its traceback is kept."""
    session = bench.enqueue("fail_until", 9, retries=0)
    data = session.wait(timeout=60)

    assert SessionState.FAILED == data.state
    assert "attempt 1 was meant to fail" in data.error


def test_a_cancelled_session_that_waits_never_runs(bench: Bench, tmp_path: Path) -> None:
    """K11: cancel in PENDING, READY and RETRYING takes effect at once."""
    parent = bench.enqueue("wait_for", str(tmp_path / "go"))
    pending = bench.enqueue("work", depends_on=[parent.id])
    for agent in ("a1", "a2"):
        bench.client.store.agents.drain(agent)
    ready = bench.enqueue("work")
    wait_until(
        lambda: ready.explain().refusals, within=90, saying="the drained cluster refused nothing"
    )

    assert ["cancelled", "cancelled"] == [pending.cancel(), ready.cancel()]

    for agent in ("a1", "a2"):
        bench.client.store.agents.undrain(agent)
    retrying = bench.enqueue("fail_until", 9, retries=5)
    # The back-off of the second attempt is two seconds, and that of the next ones longer: time to see it.
    wait_until(
        lambda: len(retrying.data.history) >= 2 and retrying.state is SessionState.RETRYING,
        within=90,
        saying="the failing session never waited for its back-off",
    )

    assert "cancelled" == retrying.cancel()

    (tmp_path / "go").touch()
    bench.wait_for_all(within=90)

    assert [SessionState.CANCELLED] * 3 == [s.state for s in (pending, ready, retrying)]
    bench.check(runs=len(retrying.data.history), never_ran=[pending, ready])


def test_a_cancelled_session_that_is_scheduled_gives_its_order_back(
    make_bench: Callable[..., Bench],
) -> None:
    """K11: an order nobody claimed is withdrawn, and nothing ever runs."""
    # Silent for this long an agent still gets orders, however late the leader comes to place one.
    bench = make_bench(LEASE="60s", NOT_READY_AFTER="60s")
    bench.cluster.kill("a1", signal.SIGSTOP)
    session = bench.enqueue("work")
    wait_until(
        lambda: session.state is SessionState.SCHEDULED, within=90, saying="it was never placed"
    )

    assert "accepted" == session.cancel()

    data = session.wait(timeout=60)
    bench.cluster.kill("a1", signal.SIGCONT)

    assert SessionState.CANCELLED == data.state
    bench.enqueue("work").get(timeout=20)
    bench.check(never_ran=[session])


def test_a_cancelled_session_that_runs_is_stopped(bench: Bench) -> None:
    """K11: the leader has the kernel stopped, with all its children."""
    session = bench.enqueue("with_children", 60)
    wait_until(lambda: bench.started(session), within=90, saying="it never started")

    assert "accepted" == session.cancel()
    assert SessionState.CANCELLED == session.wait(timeout=60).state
    assert "ended" == session.cancel()
    bench.check()


def test_an_order_delivered_twice_runs_once(bench: Bench, tmp_path: Path) -> None:
    """X1: a second RQ job with the same order id starts nothing."""
    session = bench.enqueue("wait_for", str(tmp_path / "go"))
    wait_until(lambda: session.state is SessionState.RUNNING, within=90, saying="it never ran")
    data, store = session.data, bench.client.store
    order = str(OrderId(data.id, 0, data.placement))
    for _ in range(3):
        store.client.rpush(store.keys.rq_queue(data.kernels[0].agent), order)
    wait_until(
        lambda: store.client.llen(store.keys.rq_queue(data.kernels[0].agent)) == 0,
        within=90,
        saying="the agent never took the doubled orders",
    )
    (tmp_path / "go").touch()
    session.get(timeout=20)

    bench.check()


def test_a_drained_agent_gets_nothing_new_and_loses_nothing(bench: Bench, tmp_path: Path) -> None:
    """W4: drain stops placements, what runs there goes on."""
    session = bench.enqueue("wait_for", str(tmp_path / "go"))
    wait_until(lambda: session.state is SessionState.RUNNING, within=90, saying="it never ran")
    agent = session.data.kernels[0].agent
    other = ({"a1", "a2"} - {agent}).pop()
    bench.client.store.agents.drain(agent)
    later = bench.enqueue_many([bench.spec("work") for _ in range(10)])
    for each in later:
        each.get(timeout=20)

    assert {other} == {kernel.agent for each in later for kernel in each.data.kernels}
    assert SessionState.RUNNING == session.state

    (tmp_path / "go").touch()
    session.get(timeout=20)
    bench.client.store.agents.undrain(agent)
    bench.check()


def test_a_repeated_submit_with_the_same_key_is_the_same_session(bench: Bench) -> None:
    """K20: an app that lost the answer asks again and gets what it has."""
    first = bench.enqueue("work", idempotency_key="acceptance")
    second = bench.client.enqueue_many([bench.spec("work", idempotency_key="acceptance")])[0]
    first.get(timeout=20)

    assert first.id == second.id
    bench.check()
