"""A leader hears of other priorities and other roles at once, and decides by them."""

from __future__ import annotations

import pytest

from scheduler.domain.office import office_scopes
from scheduler.domain.states import SessionState as S
from scheduler.leader import graphs as healing
from scheduler.operations.jobs import handoff
from tests.integration.leader.world import Cluster, stays

pytestmark = [pytest.mark.integration, pytest.mark.real]


def test_the_job_whose_priority_was_raised_is_next(cluster: Cluster) -> None:
    """J5: the queue of a running leader is sorted anew."""
    cluster.leader()
    agent = cluster.agent("a1", cpu=1_000)
    runs, *waiting = cluster.submit(4, slots={"cpu": "1"})
    [order] = agent.taken()
    cluster.app.session(waiting[2]).set_priority(90)
    cluster.app.session(waiting[0]).set_priority(5)
    agent.up([order])
    agent.end([order])
    cluster.reach(runs, S.SUCCEEDED)
    served = []
    for _ in waiting:
        [order] = agent.taken()
        served.append(order.session)
        agent.up([order])
        agent.end([order])

    assert [waiting[2], waiting[1], waiting[0]] == served


def test_a_job_is_placed_by_the_limits_of_the_role_it_was_handed_to(cluster: Cluster) -> None:
    """J10."""
    cluster.leader()
    cluster.agent("a1", cpu=4_000)
    cluster.store.offices.create(
        "acme", {"max_concurrent_by_role": {"builder": 0}, "roles": ["tester"]}
    )
    [job] = cluster.submit(scopes=office_scopes("acme", "builder"))
    assert stays(lambda: cluster.get(job).state is S.READY, for_=0.3)

    handoff(cluster.store, "acme", job, "tester")

    cluster.reach(job, S.SCHEDULED)


def test_a_notice_that_was_lost_is_healed_with_the_next_round_of_the_sweep(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1: forty pieces of what waits, which took forty sweeps, 80 s; with 100,000 edges eight minutes."""
    monkeypatch.setattr(healing, "SESSIONS", 5)
    parent, other = cluster.submit(2)
    cluster.submit(200, depends_on=[other])
    [last] = cluster.submit(1, depends_on=[parent])
    cluster.leader(sweep="2s")
    cluster.store.client.delete(cluster.store.keys.dependents(parent))
    cluster.store.sessions.cancel(parent)

    cluster.reach(last, S.CANCELLED, within=40)
