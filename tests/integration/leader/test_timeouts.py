"""Deadlines that are changed while a session waits or runs; whoever notices one first, it ends once."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidSetting, SessionNotFound, WrongState
from scheduler.domain.office import office_scopes
from scheduler.domain.states import SessionState
from scheduler.operations.office_time import (
    process_every_office,
    process_office,
    recommended_timeouts,
)
from scheduler.protocol.report import EndReason, ReportKind
from tests.integration.leader.world import GROUP, Cluster, stays, wait_until

S = SessionState


@pytest.fixture(autouse=True)
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader looks at a deadline when the agents do."""
    monkeypatch.setattr("scheduler.intake.decide.DEADLINE_SLACK_MS", 0)
    monkeypatch.setattr("scheduler.leader.reign.DEADLINE_SLACK_MS", 0)


def events(cluster: Cluster, name: str, session: str) -> int:
    found = cluster.store.events.since("0-0", limit=1000)
    return sum(e.name == name and e.fields.get("session") == session for e in found)


def test_a_running_session_is_given_a_shorter_time(cluster: Cluster) -> None:
    """J4: the leader moves its timer and the row of the attempt, and tells the agent."""
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit(timeout="1h")
    (order,) = agent.taken()
    agent.up([order])
    cluster.reach(session, S.RUNNING)

    cluster.app.session(session).set_timeout("3s")

    wait_until(lambda: agent.told(order.id) == 3_000, saying="the agent was told")
    stopping = cluster.reach(session, S.TERMINATING)
    assert "it ran for longer than 3 s" == stopping.error
    assert stopping.history[0].deadline == stopping.history[0].started_at + 3_000
    assert agent.told(order.id) is None  # the stop took its place
    agent.take()
    assert S.TIMED_OUT is cluster.reach(session, S.TIMED_OUT).state


def test_a_running_session_is_given_more_time_that_outlives_the_leader(cluster: Cluster) -> None:
    """J4: the next leader knows it, and says it again."""
    first = cluster.leader("r1")
    agent = cluster.agent()
    (session,) = cluster.submit(timeout="3s")
    (order,) = agent.taken()
    agent.up([order])
    cluster.reach(session, S.RUNNING)
    cluster.app.session(session).set_timeout("1h")
    wait_until(lambda: agent.told(order.id) == 3_600_000, saying="the agent was told")

    first.stop()
    cluster.leader("r2")

    assert stays(lambda: cluster.get(session).state is S.RUNNING, for_=3.2)
    timers = cluster.store.client.zscore(cluster.store.keys.timers(GROUP), session)
    assert timers == (cluster.get(session).running_at or 0) + 3_600_000
    agent.end([order])
    cluster.reach(session, S.SUCCEEDED)


def test_what_waits_is_placed_with_its_new_time(cluster: Cluster) -> None:
    """J4: and its equals, which are decided together with it, keep theirs."""
    cluster.leader()
    first, second = cluster.submit(2, timeout="1h")
    cluster.app.session(second).set_timeout("2m")
    cluster.app.session(first).set_timeout("3m")
    cluster.app.session(first).set_timeout(None)

    taken = cluster.agent().taken(2)

    assert {first: 3_600_000, second: 120_000} == {o.session: o.timeout_ms for o in taken}


def test_a_time_that_makes_no_sense_changes_nothing(cluster: Cluster) -> None:
    """J10."""
    (session,) = cluster.submit()
    with pytest.raises(InvalidSetting, match="Bad setting timeout: it must be more than zero"):
        cluster.app.session(session).set_timeout("0s")
    with pytest.raises(SessionNotFound):
        cluster.app.session("0" * 26).set_timeout("1h")
    cluster.store.sessions.cancel(session)
    with pytest.raises(WrongState, match="timeout works only in what has not ended"):
        cluster.app.session(session).set_timeout("1h")

    assert cluster.get(session).own_timeout_ms is None


def test_agent_and_leader_that_notice_together_end_it_once(cluster: Cluster) -> None:
    """J4: reports and the timer meet in one turn, for many sessions in every order."""
    cluster.leader()
    agent = cluster.agent()
    sessions = cluster.submit(20, timeout="2s")
    taken = agent.taken(20)
    agent.up(taken)
    for session in sessions:
        cluster.reach(session, S.RUNNING)
    due = max(cluster.get(s).running_at or 0 for s in sessions) + 2_000
    for order in taken:
        wait_until(lambda: cluster.store.sessions.redis_time_ms() >= due - 5)
        agent.end([order], exit_code=None, reason=EndReason.TIMED_OUT, error="It ran longer.")

    for session in sessions:
        data = cluster.reach(session, S.TIMED_OUT)
        assert (1, 1) == (data.attempt, events(cluster, "session.timed_out", session))
    agent.take()
    assert 0 == len(cluster.store.client.zrange(cluster.store.keys.timers(GROUP), 0, -1))


def test_an_office_is_processed_by_hand(cluster: Cluster) -> None:
    """J5: the leader looks at once, and says when it has."""
    cluster.leader(sweep="60s")
    cluster.store.offices.create("acme", {"max_concurrent_jobs": 2})
    agent = cluster.agent(cpu=1_000)
    jobs = cluster.submit(4, scopes=office_scopes("acme"))
    agent.up(agent.taken(2))
    cluster.reach(jobs[0], S.RUNNING)

    found = process_office(cluster.store, "acme")

    assert (2, 2, 0) == (found.ready, found.running, found.free_slots)
    assert (True, ()) == (found.looked, found.no_leader)
    assert process_every_office(cluster.store)
    tally = cluster.store.groups.tally
    wait_until(lambda: tally(GROUP).triggers.get("process"), saying="it was counted")


def test_an_office_without_a_leader_is_shown_and_not_waited_for(cluster: Cluster) -> None:
    cluster.store.offices.create("acme", {})
    cluster.submit(scopes=office_scopes("acme"))

    found = process_office(cluster.store, "acme")

    assert (1, 0, 3) == (found.ready, found.running, found.free_slots)
    assert (GROUP,) == found.no_leader


def test_each_run_is_in_the_digest_once(cluster: Cluster) -> None:
    """J6: what went well by its time, what timed out as unknown; failures and retries are none."""
    cluster.leader(retry_initial="20ms")
    cluster.store.offices.create("acme", {"roles": ["build"], "max_concurrent_jobs": 50})
    agent = cluster.agent()
    jobs = cluster.submit(6, scopes=office_scopes("acme", "build"), retries=1)
    taken = agent.taken(6)
    agent.up(taken)
    for job in jobs:
        cluster.reach(job, S.RUNNING)
    agent.end(taken[:3])
    agent.end(taken[3:4], exit_code=1)
    agent.end(taken[4:5], exit_code=None, reason=EndReason.TIMED_OUT, error="It ran longer.")
    again = agent.taken(2)
    agent.up(again)
    agent.end(again)
    cluster.done(5)
    agent.tell(
        [
            agent._said(ReportKind.ENDED, order.id, exit_code=0, reason=EndReason.EXITED)
            for order in taken[:3]
        ]
    )
    agent.end(taken[5:])
    cluster.done(6)

    found = {each.role: each for each in recommended_timeouts(cluster.store, "acme")}
    assert ["build"] == list(found)
    assert (6, 1, 1_800_000) == (
        found["build"].runs,
        found["build"].timed_out,
        found["build"].setting_ms,
    )
