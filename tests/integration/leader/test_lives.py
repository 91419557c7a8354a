"""Sessions from submit to end, through an elected leader and agents driven by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits
from scheduler.domain.states import FINAL, SessionState
from scheduler.domain.tally import Tally
from scheduler.protocol.report import EndReason
from tests.integration.leader.world import GROUP, Cluster, stays, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState


def redis_now(cluster: Cluster) -> datetime:
    seconds, micros = cluster.store.client.time()
    return datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, tz=UTC)


def in_two_seconds(cluster: Cluster) -> datetime:
    return redis_now(cluster) + timedelta(seconds=2)


def test_a_session_goes_from_submit_to_its_result(cluster: Cluster) -> None:
    """D2, D4."""
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit()
    orders = agent.taken()
    cluster.reach(session, S.PREPARING)
    agent.up(orders)
    cluster.reach(session, S.RUNNING)

    agent.end(orders, result='{"answer": 42}')

    data = cluster.reach(session, S.SUCCEEDED)
    assert ({"answer": 42}, 1, ("a1",)) == (
        cluster.store.sessions.result(session),
        data.attempt,
        data.history[0].agents,
    )
    record = cluster.store.agents.get("a1")
    assert record.capacity == record.free
    assert set() == cluster.store.scopes.members(GLOBAL)


def test_a_limit_is_exact_under_load(cluster: Cluster) -> None:
    """D3, X8: 200 sessions, 3 at once."""
    scope = Scope("keypair", "k")
    cluster.store.scopes.limit(scope, ScopeLimits(3))
    cluster.leader()
    agent = cluster.agent(cpu=64_000)
    cluster.submit(200, keypair="k")
    most = 0

    def step() -> bool:
        nonlocal most
        most = max(most, len(cluster.store.scopes.members(scope)), len(agent.running))
        taken = agent.take()
        most = max(most, len(agent.running))
        agent.up(taken)
        agent.end(taken)
        return cluster.store.sessions.counts("default")[S.SUCCEEDED] == 200

    wait_until(step, within=120, saying="all 200 ended")

    assert (3, 200, set()) == (most, len(agent.started), cluster.store.scopes.members(scope))


def test_a_limit_set_below_what_runs_kills_nothing_and_stops_new_ones(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    running = cluster.submit(3)
    agent.up(agent.taken(3))
    for session in running:
        cluster.reach(session, S.RUNNING)

    cluster.store.scopes.limit(GLOBAL, ScopeLimits(1))

    (late,) = cluster.submit()
    assert stays(lambda: cluster.get(late).state is S.READY and len(agent.running) == 3, for_=0.3)
    agent.end(list(agent.running.values()))
    cluster.reach(late, S.SCHEDULED)


def test_a_scope_held_by_another_groups_sessions_frees_this_groups_too(cluster: Cluster) -> None:
    """Nobody tells a leader of ends in other groups."""
    cluster.store.scopes.limit(GLOBAL, ScopeLimits(1))
    cluster.replica(groups=["default", "other"])
    there = cluster.boot("b1", group="other").register().admitted()
    here = cluster.agent("a1")
    cluster.submit(group="other")
    orders = there.taken()
    (waiting,) = cluster.submit()
    wait_until(
        lambda: cluster.store.sessions.verdict("default", cluster.get(waiting).request.id),
        saying="it is refused",
    )

    there.end(orders)

    assert waiting == here.taken()[0].session


def test_a_session_waits_for_all_it_depends_on(cluster: Cluster) -> None:
    """J1, K6: fan-in and fan-out."""
    cluster.leader()
    agent = cluster.agent()
    parents = cluster.submit(3)
    children = cluster.submit(3, depends_on=parents)
    orders = agent.taken(3)
    agent.end(orders[:2])
    for order in orders[:2]:
        cluster.reach(order.session, S.SUCCEEDED)
    early = {cluster.get(child).state for child in children}

    agent.end(orders[2:])

    assert ({S.PENDING}, set(children)) == (early, {order.session for order in agent.taken(3)})


def test_the_dependents_of_a_failure_are_cancelled_all_the_way_down(cluster: Cluster) -> None:
    """J1: nothing waits for ever."""
    cluster.leader()
    agent = cluster.agent()
    (parent,) = cluster.submit()
    (child,) = cluster.submit(depends_on=[parent])
    (grandchild,) = cluster.submit(depends_on=[child])

    agent.end(agent.taken(), exit_code=1)

    reasons = [cluster.reach(session, S.CANCELLED).reason for session in (child, grandchild)]
    assert [f"dependency {parent} ended FAILED", f"dependency {child} ended CANCELLED"] == reasons


def test_a_session_with_a_start_time_waits_for_it(cluster: Cluster) -> None:
    """K6."""
    cluster.leader()
    agent = cluster.agent()
    start = in_two_seconds(cluster)
    (session,) = cluster.submit(not_before=start)
    before = cluster.get(session).state

    agent.taken()

    assert (S.PENDING, True) == (before, redis_now(cluster) >= start)


def test_a_session_that_waits_too_long_is_cancelled(cluster: Cluster) -> None:
    """K11."""
    cluster.configure(pending_timeout_ms=200)
    cluster.leader()

    (session,) = cluster.submit()

    assert (
        "it waited for longer than its group allows" == cluster.reach(session, S.CANCELLED).reason
    )


def test_a_failure_is_retried_after_its_back_off_and_then_final(cluster: Cluster) -> None:
    """J5."""
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(retries=2)
    for _ in range(3):
        agent.end(agent.taken(), exit_code=1)

    data = cluster.reach(session, S.FAILED)

    assert (3, ["RETRYING", "RETRYING", "FAILED"]) == (
        data.attempt,
        [row.outcome for row in data.history],
    )
    waited = [
        after.started_at - before.ended_at
        for before, after in zip(data.history, data.history[1:], strict=False)
        if before.ended_at
    ]
    assert waited[0] >= 40
    assert waited[1] >= 80


def test_a_session_past_its_deadline_is_stopped_by_the_leader(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J4: the agent did not notice."""
    monkeypatch.setattr("scheduler.intake.decide.DEADLINE_SLACK_MS", 0)
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(timeout="200ms")
    agent.up(agent.taken())
    cluster.reach(session, S.TERMINATING)

    agent.take()

    assert "it ran for longer than 0.2 s" == cluster.reach(session, S.TIMED_OUT).error


def test_kernels_that_do_not_all_come_up_are_stopped(cluster: Cluster) -> None:
    """Architecture 8: the barrier."""
    cluster.configure(barrier_timeout_ms=1_500)
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(cluster_size=2)
    agent.up(agent.taken(2)[:1])
    cluster.reach(session, S.TERMINATING)

    agent.take()

    assert "not all kernels were up within 1.5 s" == cluster.reach(session, S.FAILED).error


def test_one_kernel_that_fails_stops_the_others(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(cluster_size=3)
    orders = agent.taken(3)
    agent.up(orders)
    cluster.reach(session, S.RUNNING)
    agent.end(orders[1:2], exit_code=7)
    cluster.reach(session, S.TERMINATING)

    agent.take()

    assert ("kernel 1 exited with 7", {}) == (cluster.reach(session, S.FAILED).error, agent.running)


def test_an_order_nobody_claims_is_withdrawn_and_placed_elsewhere(cluster: Cluster) -> None:
    """Architecture 9: within the claim timeout, at no cost of an attempt."""
    cluster.configure(claim_timeout_ms=150)
    cluster.leader()
    cluster.agent("a1")
    (session,) = cluster.submit()
    cluster.reach(session, S.SCHEDULED)
    other = cluster.agent("a2")

    other.end(other.taken())

    data = cluster.reach(session, S.SUCCEEDED)
    assert (1, {"a2"}) == (data.attempt, {kernel.agent for kernel in data.kernels})
    assert {} == cluster.store.client.hgetall(cluster.store.keys.orders("a1"))


@pytest.mark.parametrize(
    "state", [S.PENDING, S.READY, S.SCHEDULED, S.PREPARING, S.RUNNING, S.TERMINATING, S.RETRYING]
)
def test_a_session_can_be_cancelled_in_every_state(cluster: Cluster, state: SessionState) -> None:
    """J7, K11."""
    cluster.leader(retry_initial="30s")
    agent = cluster.agent() if state is not S.READY else None
    more: dict[str, Any] = (
        {"not_before": datetime(2100, 1, 1, tzinfo=UTC)} if state is S.PENDING else {}
    )
    (session,) = cluster.submit(retries=1, cluster_size=2, **more)
    if agent and state is not S.PENDING:
        cluster.reach(session, S.SCHEDULED)
    if agent and state not in (S.PENDING, S.SCHEDULED):
        orders = agent.taken(2)
        if state is not S.PREPARING:
            agent.up(orders)
            cluster.reach(session, S.RUNNING)
        if state in (S.TERMINATING, S.RETRYING):
            agent.end(orders[:1], exit_code=1)
        if state is S.RETRYING:
            agent.end(orders[1:], exit_code=1)
    cluster.reach(session, state)

    word = cluster.store.sessions.cancel(session)
    wait_until(
        lambda: (agent and agent.take(), cluster.get(session).state is S.CANCELLED)[1],
        saying="it is cancelled",
    )

    assert ("cancelled" if state in (S.PENDING, S.READY, S.RETRYING) else "accepted") == word
    assert set() == cluster.store.scopes.members(GLOBAL)
    assert "ended" == cluster.store.sessions.cancel(session)


def test_a_report_told_twice_counts_once(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(retries=3)
    orders = agent.taken()
    for _ in range(2):
        agent.up(orders)
    for _ in range(2):
        agent.end(orders, exit_code=1)

    again = agent.taken()

    assert (2, 1) == (cluster.reach(session, S.PREPARING).attempt, len(again))


def test_forged_and_broken_reports_are_dropped_and_the_cursor_goes_on(cluster: Cluster) -> None:
    """X1, X8."""
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit()
    orders = agent.taken()
    stream = cluster.store.keys.reports("default")
    forger = cluster.boot("a2")
    forger.running = dict(agent.running)
    forger.name, forger.boot = agent.name, agent.boot
    forger.end(list(forger.running.values()), exit_code=1)
    for fields in (
        {"body": "no json", "mac": "0"},
        {"body": "[" * 50_000, "mac": "0"},
        {"noise": "1"},
        {"body": '{"agent": "a1"}', "mac": "ä"},
        {"body": '{"agent": 5}', "mac": "0", "claim": "x"},
    ):
        cluster.store.client.xadd(stream, fields)  # type: ignore[arg-type]

    agent.end(orders, reason=EndReason.EXITED)

    cluster.reach(session, S.SUCCEEDED)
    assert 1 == sum(event.name == "leader.elected" for event in cluster.store.events.newest(1000))


def test_of_a_claim_only_what_was_taken_counts(cluster: Cluster) -> None:
    """K14: the claim script says which orders were not there; those wait on as they did."""
    cluster.leader()
    agent = cluster.agent()
    cluster.submit(2)
    keys, client = cluster.store.keys, cluster.store.client
    wait_until(lambda: client.hlen(keys.orders(agent.name)) == 2, saying="not both were placed")
    gone = next(iter(client.hkeys(keys.orders(agent.name))))
    client.hdel(keys.orders(agent.name), gone)

    [order] = agent.take()

    cluster.reach(order.session, S.PREPARING)
    assert S.SCHEDULED is cluster.get(str(gone).partition("-")[0]).state


def test_changed_options_of_a_group_hold_from_now_on(cluster: Cluster) -> None:
    """K1: while it runs."""
    cluster.leader()
    agent = cluster.agent()

    cluster.configure(max_rescues=0, agent_selector="dispersed")

    (session,) = cluster.submit()
    agent.taken()
    agent.leave()
    assert "its agent was lost 1 times" in cluster.reach(session, S.FAILED).error


def test_an_unknown_plugin_leaves_the_options_before_in_force(cluster: Cluster) -> None:
    """K1: said, not silently replaced; and what runs is looked after."""
    with capture_logs() as said:
        cluster.leader()
        agent = cluster.agent()

        cluster.configure(scheduler="astrology")

        (session,) = cluster.submit()
        agent.end(agent.taken())
        cluster.reach(session, S.SUCCEEDED)

    assert [
        "There is no scheduler named 'astrology'; installed are: drf, fair-share, fifo, lifo."
    ] == [line["says"] for line in said if line["event"] == "group.unusable"]


def test_a_group_with_an_unknown_plugin_is_led_once_it_is_corrected(cluster: Cluster) -> None:
    cluster.configure(scheduler="astrology")
    cluster.replica()
    wait_until(
        lambda: cluster.store.leadership.show("default").get("term"), saying="somebody tried"
    )

    cluster.configure(scheduler="fifo")

    agent = cluster.agent()
    (session,) = cluster.submit()
    agent.end(agent.taken())
    assert cluster.reach(session, S.SUCCEEDED).state in FINAL


def test_what_cycles_did_is_counted_and_the_next_leader_goes_on(cluster: Cluster) -> None:
    """K15: marks of start, end and trigger; placed and refused, by cause."""
    first = cluster.leader()
    cluster.agent(cpu=1_000)
    cluster.submit(2, slots={"cpu": "1"})
    groups = cluster.store.groups

    def counted() -> Tally | None:
        tally = groups.tally(GROUP)
        return tally if tally.placed == 1 and tally.causes.get("agents") else None

    before = wait_until(counted, saying="one was placed, one refused, and both counted")
    assert before
    first.stop()
    cluster.leader("r2")
    cluster.submit(keypair="k1")
    wait_until(
        lambda: groups.tally(GROUP).refused > before.refused, saying="the next leader counts on"
    )
    after = groups.tally(GROUP)

    assert before.started_at <= before.ended_at <= after.started_at <= after.ended_at
    assert set(before.trigger.split(", ")) <= before.triggers.keys()
    assert (1, True, True) == (after.placed, after.term > before.term, after.cycles > before.cycles)
    assert 0 < before.p50_us <= before.p99_us <= before.busy_us <= after.busy_us
