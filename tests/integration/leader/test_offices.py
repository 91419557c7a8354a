"""Jobs of offices through elected leaders: limits, order, and what they get from their office (J1-J5)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.office import office_scopes
from scheduler.domain.states import SessionState
from scheduler.protocol.order import StartOrder
from tests.integration.leader.world import Cluster, FakeAgent, stays, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
NO_WAIT = {"initial_ms": 1, "jitter": 0}


def jobs(
    cluster: Cluster, count: int = 1, role: str = "", office: str = "web", **asked: Any
) -> list[str]:
    """Jobs of an office."""
    return cluster.submit(count, scopes=office_scopes(office, role), **asked)


def fail(agent: FakeAgent, order: StartOrder) -> None:
    agent.up([order])
    agent.end([order], exit_code=1)


def test_a_limit_that_changes_holds_at_once_and_kills_nothing(cluster: Cluster) -> None:
    """J2, J12: a minute passes between two sweeps; only the change can have woken who waits."""
    cluster.store.offices.create("web", {"max_concurrent_jobs": 3})
    cluster.leader(sweep="60s")
    agent = cluster.agent()
    jobs(cluster, 8)
    agent.up(agent.taken(3))

    cluster.store.offices.change("web", {"max_concurrent_jobs": 1})
    assert stays(lambda: len(agent.take()) == 0 and len(agent.running) == 3, for_=0.2)
    agent.end(list(agent.running.values())[:2])
    assert stays(lambda: not agent.take(), for_=0.2), "one runs still, which is all it may"

    cluster.store.offices.change("web", {"max_concurrent_jobs": 6})
    agent.taken(5)
    assert len(agent.running) == 6


def test_a_limit_of_nought_lets_nothing_begin(cluster: Cluster) -> None:
    cluster.store.offices.create("web", {"max_concurrent_jobs": 0})
    cluster.leader(sweep="60s")
    agent = cluster.agent()
    jobs(cluster)
    assert stays(lambda: not agent.take(), for_=0.2)
    cluster.store.offices.change("web", {"max_concurrent_jobs": 1})
    agent.taken()


def test_jobs_go_by_priority_and_then_by_age(cluster: Cluster) -> None:
    """J3, in each office."""
    cluster.store.offices.create("web", {"max_concurrent_jobs": 1})
    cluster.leader()
    agent = cluster.agent()
    [first] = jobs(cluster)
    running = agent.taken()
    priorities = [10, 90, 10, 50, 90, 0]
    waiting = [
        (-priority, n, jobs(cluster, priority=priority)[0]) for n, priority in enumerate(priorities)
    ]
    order = [first]
    for _ in waiting:
        agent.up(running)
        agent.end(running)
        running = agent.taken()
        order.append(running[0].session)

    assert order == [first, *(job for _, _, job in sorted(waiting))]


def test_two_leaders_of_two_groups_share_an_office_and_never_exceed_it(cluster: Cluster) -> None:
    """J2: each sees only its own placements; the commit sees both."""
    cluster.store.offices.create(
        "web", {"max_concurrent_jobs": 3, "max_concurrent_by_role": {"reviewer": 1}}
    )
    groups = ("default", "other")
    agents = []
    for name, group in zip(("r1", "r2"), groups, strict=True):
        cluster.replica(name, groups=[group])
        agents.append(cluster.boot(group, group=group).register(cpu=64_000).admitted())
        jobs(cluster, 10, "reviewer", group=group)
        jobs(cluster, 20, group=group)
    roles = {str(job.id): job.role for job in cluster.app.office("web").jobs()}
    most, reviewers = 0, 0

    def step() -> bool:
        nonlocal most, reviewers
        for agent in agents:
            agent.up(agent.take())
        running = [order.session for agent in agents for order in agent.running.values()]
        most = max(most, len(running))
        reviewers = max(reviewers, sum(roles[job] == "reviewer" for job in running))
        for agent in agents:
            agent.end(list(agent.running.values()))
        return cluster.app.office("web").stats().succeeded == len(roles)

    wait_until(step, within=60, saying="all 60 ended")
    assert (most, reviewers) == (3, 1)


def test_who_waits_for_an_office_is_told_how_its_limit_is_raised(cluster: Cluster) -> None:
    cluster.store.offices.create(
        "web", {"max_concurrent_jobs": 9, "max_concurrent_by_role": {"reviewer": 0}}
    )
    cluster.leader()
    cluster.agent()
    [job] = jobs(cluster, 1, "reviewer")
    wait_until(lambda: cluster.app.session(job).explain().refusals, saying="it is refused")

    [refusal] = cluster.app.session(job).explain().refusals
    # Under a limit of 0 it is the only cure: nothing runs that could end.
    assert (
        "its limit is raised: `scheduler office set web --role-limit reviewer=N`",
    ) == refusal.cures


def test_a_job_that_is_handed_over_waits_for_its_back_off_no_longer(cluster: Cluster) -> None:
    """J2: execute_job; in its place, under its office's limits."""
    cluster.store.offices.create("web", {"backoff": {"initial_ms": 50_000}})
    cluster.leader()
    agent = cluster.agent()
    [job] = jobs(cluster)
    fail(agent, agent.taken()[0])
    cluster.reach(job, S.RETRYING)

    cluster.app.office("web").execute(job)
    assert agent.taken()[0].session == job


def test_roles_of_one_name_in_two_offices_do_not_meet(cluster: Cluster) -> None:
    """J2: max_concurrent_by_role, inside the limit of the office."""
    for office in ("web", "shop"):
        cluster.store.offices.create(
            office, {"max_concurrent_by_role": {"reviewer": 1}, "roles": ["builder"]}
        )
    cluster.leader()
    agent = cluster.agent()
    asked = {
        job: (office, role)
        for office in ("web", "shop")
        for role in ("reviewer", "builder")
        for job in jobs(cluster, 4, role, office)
    }

    taken = [asked[order.session] for order in agent.taken(6)]
    assert stays(lambda: not agent.take(), for_=0.2)
    assert sorted(taken) == sorted(
        [("web", "reviewer"), ("shop", "reviewer")] + [("web", "builder"), ("shop", "builder")] * 2
    )


def test_a_timeout_that_changes_holds_for_jobs_that_wait_and_for_none_that_says_its_own(
    cluster: Cluster,
) -> None:
    """J4: one and the same leader has those that wait loaded, and nothing else to read them for."""
    cluster.store.offices.create("web", {"timeout_ms": 60_000, "max_concurrent_jobs": 1})
    cluster.leader(sweep="60s")
    agent = cluster.agent()
    [first, waits, says] = [*jobs(cluster, 2), *jobs(cluster, timeout="7s")]
    timeouts = {}
    for _ in range(3):
        [order] = agent.taken()
        timeouts[order.session] = order.timeout_ms
        cluster.store.offices.change("web", {"timeout_ms": 5_000})
        agent.up([order])
        agent.end([order])

    assert timeouts == {first: 60_000, waits: 5_000, says: 7_000}


def test_a_next_leader_thinks_of_no_other_deadline_than_the_agent_was_given(
    cluster: Cluster,
) -> None:
    """J4: the order lay unclaimed while its office changed its mind and its leader left."""
    cluster.store.offices.create("web", {"timeout_ms": 60_000})
    leader = cluster.leader()
    agent = cluster.agent()
    [job] = jobs(cluster)
    cluster.reach(job, S.SCHEDULED)

    cluster.store.offices.change("web", {"timeout_ms": 5_000})
    leader.stop()
    cluster.leader("r2")
    [order] = agent.taken()
    agent.up([order])

    data = cluster.reach(job, S.RUNNING)
    assert (order.timeout_ms, data.timeout_ms) == (60_000, 60_000)
    [row] = data.history
    assert row.deadline == row.started_at + 60_000
    at = cluster.store.client.zscore(cluster.store.keys.timers("default"), job)
    assert isinstance(at, float)
    assert at >= row.deadline


def test_retries_and_back_off_are_what_the_office_says_when_a_try_fails(cluster: Cluster) -> None:
    """J5: a change holds for jobs that wait or run, but not for one that said its own."""
    cluster.store.offices.create("web", {"max_retries": 0, "max_concurrent_jobs": 9})
    cluster.leader()
    agent = cluster.agent()
    [inherits, says] = [*jobs(cluster), *jobs(cluster, retries=0)]
    orders = {order.session: order for order in agent.taken(2)}

    cluster.store.offices.change("web", {"max_retries": 1, "backoff": NO_WAIT})
    wait_until(lambda: cluster.get(inherits).request.retries == 1)
    for order in orders.values():
        fail(agent, order)
    [again] = agent.taken()
    assert again.session == inherits
    cluster.reach(says, S.FAILED)
    fail(agent, again)
    assert cluster.reach(inherits, S.FAILED).attempt == 2


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ({"kind": "constant", "initial_ms": 40, "jitter": 0}, [40, 40]),
        ({"kind": "linear", "initial_ms": 40, "jitter": 0}, [40, 80]),
        ({"kind": "exponential", "initial_ms": 40, "factor": 3, "jitter": 0}, [40, 120]),
        ({"kind": "exponential", "initial_ms": 40, "maximum_ms": 50, "jitter": 0}, [40, 50]),
    ],
)
@pytest.mark.parametrize("own", [False, True])
def test_each_kind_of_back_off_is_waited_for(
    cluster: Cluster, backoff: dict[str, Any], waits: list[int], *, own: bool
) -> None:
    """J5: said by the office, or by a session that is nobody's."""
    cluster.store.offices.create("web", {"backoff": {} if own else backoff})
    cluster.leader()
    agent = cluster.agent()
    [job] = cluster.submit(retries=2, backoff=backoff) if own else jobs(cluster)
    for _ in range(3):
        fail(agent, agent.taken()[0])
    data = cluster.reach(job, S.FAILED)

    events = [e for e in cluster.store.events.since("0-0") if e.fields.get("session") == job]
    at = {(e.name, int(e.fields["attempt"])): int(e.fields["at"]) for e in events}
    for attempt, wait in enumerate(waits, start=1):
        waited = at["session.ready", attempt] - at["session.retrying", attempt]
        assert wait <= waited < wait + 1_500, f"attempt {attempt} of {data.attempt}"


def test_an_office_that_cannot_be_read_stops_no_leader(cluster: Cluster) -> None:
    """C4: its jobs run by the defaults until somebody puts it right."""
    cluster.store.offices.create("web", {})
    cluster.store.client.hset(cluster.store.keys.office("web"), "config", "{")
    cluster.leader()
    agent = cluster.agent()
    jobs(cluster)

    assert agent.taken()[0].timeout_ms == 30 * 60_000


def test_a_new_leader_goes_on_with_the_turn_that_was_next(cluster: Cluster) -> None:
    """J5, D1: whose turn it is stands with the placements; by name the first would have two."""
    for office in ("a", "b", "c"):
        cluster.store.offices.create(office, {})
        jobs(cluster, 3, office=office)
    first, agent = cluster.leader("r1"), cluster.agent(cpu=100)
    order, running = [], agent.taken()
    order.append(cluster.get(running[0].session).office)
    agent.up(running)
    agent.end(running)
    running = agent.taken()
    order.append(cluster.get(running[0].session).office)

    first.stop()
    cluster.leader("r2")
    for _ in range(3):
        agent.up(running)
        agent.end(running)
        running = agent.taken()
        order.append(cluster.get(running[0].session).office)

    assert ["a", "b", "c", "a", "b"] == order
