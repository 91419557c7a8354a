"""Limits of scopes through elected leaders: never exceeded, whoever places, and said with their cure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from scheduler import Client
from scheduler.domain.errors import PendingLimitReached
from scheduler.domain.scope import GLOBAL, OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.domain.states import SessionState
from tests.integration.leader.world import Cluster, FakeAgent, stays, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
USER = Scope("user", "u")


def use(cluster: Cluster, scope: Scope = USER) -> ScopeUse:
    return cluster.store.scopes.read([scope])[scope]


def _leads(health: Callable[[], dict[str, Any]]) -> bool:
    return bool(health()["leads"])


def refused(cluster: Cluster, session: str) -> bool:
    return bool(cluster.store.sessions.verdict("default", cluster.get(session).request.id))


def nothing_is_left(cluster: Cluster, *scopes: Scope) -> bool:
    return cluster.store.scopes.counting().isdisjoint(scopes)


def test_two_leaders_of_two_groups_share_a_scope_and_never_exceed_it(cluster: Cluster) -> None:
    """D3, K8: each sees only its own placements; the commit sees both."""
    cluster.store.scopes.limit(USER, ScopeLimits(max_sessions=5, max_slots={"cpu": 900}))
    for name, group in (("r1", "default"), ("r2", "other")):
        health = cluster.replica(name, groups=[group]).health
        wait_until(partial(_leads, health), saying=f"{name} leads")
    agents = [cluster.agent("a1", cpu=64_000), cluster.boot("b1", group="other")]
    agents[1].register(cpu=64_000).admitted()
    for group in ("default", "other"):
        cluster.submit(40, group=group, scopes={"user": "u"}, slots={"cpu": "200m"})
    most, slots = 0, 0

    def step() -> bool:
        nonlocal most, slots
        now = use(cluster)
        most, slots = max(most, now.sessions), max(slots, now.slots.get("cpu", 0))
        for agent in agents:
            agent.up(taken := agent.take())
            most = max(most, sum(len(each.running) for each in agents))
            agent.end(taken)
        counts = [cluster.store.sessions.counts(group) for group in ("default", "other")]
        return sum(count[S.SUCCEEDED] for count in counts) == 80

    wait_until(step, within=60, saying="all 80 ended")

    assert (4, 800) == (most, slots)
    assert nothing_is_left(cluster, USER, GLOBAL)


def test_slots_that_another_group_gives_back_are_seen(cluster: Cluster) -> None:
    """Nobody tells a leader of ends in other groups, and this scope is not full: it has 100m left."""
    cluster.store.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 1000}))
    cluster.replica(groups=["default", "other"])
    there = cluster.boot("b1", group="other").register().admitted()
    here = cluster.agent("a1")
    cluster.submit(group="other", scopes={"user": "u"}, slots={"cpu": "900m"})
    orders = there.taken()
    (waiting,) = cluster.submit(scopes={"user": "u"}, slots={"cpu": "500m"})
    wait_until(lambda: refused(cluster, waiting), saying="it is refused")

    there.end(orders)

    assert waiting == here.taken()[0].session


def test_a_limit_of_slots_lowered_under_what_runs_kills_nothing(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    running = cluster.submit(3, scopes={"user": "u"})
    agent.up(agent.taken(3))
    for session in running:
        cluster.reach(session, S.RUNNING)

    cluster.store.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 100}))

    (late,) = cluster.submit(scopes={"user": "u"})
    assert stays(lambda: cluster.get(late).state is S.READY and len(agent.running) == 3, for_=0.3)
    said = cluster.app.session(late).explain()
    assert (
        "Your main-keypair resource quota is exceeded. (user u: cpu used 0.3, requested 0.1,"
        " limit 0.1, over by 0.3)" == said.says
    )
    assert "`scheduler scope set user u --max-slots ...`" in said.refusals[0].cures[1]
    agent.end(list(agent.running.values()))
    cluster.reach(late, S.SCHEDULED)


def _raise_limit(cluster: Cluster, _: FakeAgent) -> None:
    cluster.store.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 200}))


def _lift_limit(cluster: Cluster, _: FakeAgent) -> None:
    cluster.store.scopes.limit(USER, ScopeLimits())


def _end(_: Cluster, agent: FakeAgent) -> None:
    agent.end(list(agent.running.values()))


@pytest.mark.parametrize("cure", [_raise_limit, _lift_limit, _end])
def test_who_was_refused_is_placed_as_soon_as_the_cure_comes(
    cluster: Cluster, cure: Callable[[Cluster, FakeAgent], None]
) -> None:
    """A minute passes between two sweeps here: only what happened can have woken it."""
    cluster.store.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 100}))
    cluster.leader(sweep="60s")
    agent = cluster.agent()
    cluster.submit(scopes={"user": "u"})
    agent.taken()
    (waiting,) = cluster.submit(scopes={"user": "u"}, priority=20)
    wait_until(lambda: refused(cluster, waiting), saying="it is refused")

    cure(cluster, agent)

    assert waiting == agent.taken()[0].session


def test_a_main_keypair_admits_from_the_moment_it_has_limits(cluster: Cluster) -> None:
    """K6: no policy: fails."""
    cluster.store.scopes.limit(USER, ScopeLimits(main_keypair="k"))
    cluster.leader(sweep="60s")
    agent = cluster.agent()
    first, second = cluster.submit(2, scopes={"user": "u"})
    wait_until(lambda: refused(cluster, first), saying="it is refused")
    assert "its main keypair k has no limits" in cluster.app.session(first).explain().says

    cluster.store.scopes.limit(Scope("keypair", "k"), ScopeLimits(max_slots={"cpu": 150}))

    assert first == agent.taken()[0].session
    wait_until(
        lambda: "used 0.1, requested 0.1, limit 0.15" in cluster.app.session(second).explain().says,
        saying="the second is refused by the keypair's limit",
    )


def test_private_sessions_run_beside_every_quota_and_within_their_own(cluster: Cluster) -> None:
    """K7."""
    nothing = ScopeLimits(0, {"cpu": 0}, OtherSlots.ZERO, 0, {"cpu": 0})
    for scope in (GLOBAL, USER, Scope("keypair", "k")):
        cluster.store.scopes.limit(scope, nothing)
    cluster.store.scopes.limit(Scope("private", "k"), ScopeLimits(1))
    cluster.leader()
    agent = cluster.agent()
    cluster.submit(2, private=True, keypair="k", scopes={"user": "u"})
    orders = agent.taken()

    assert stays(lambda: not agent.take(), for_=0.3)
    assert [ScopeUse(nothing)] * 2 == [use(cluster), use(cluster, GLOBAL)]
    agent.end(orders)
    agent.end(agent.taken())
    cluster.done(2)


def test_one_that_may_wait_runs_and_the_next_may_wait_then(cluster: Cluster) -> None:
    """A limit of 1 schedules, since nobody is counted against itself."""
    cluster.store.scopes.limit(USER, ScopeLimits(max_pending_sessions=1))
    cluster.submit(scopes={"user": "u"})
    with pytest.raises(PendingLimitReached, match=r"^You cannot create more than 1 pending"):
        cluster.submit(scopes={"user": "u"})
    cluster.leader()
    agent = cluster.agent()
    agent.end(agent.taken())
    cluster.done(1)

    cluster.submit(scopes={"user": "u"})

    agent.end(agent.taken())
    cluster.done(2)
    assert nothing_is_left(cluster, USER, GLOBAL)


def test_a_replica_brings_older_data_up_to_date_before_it_leads(cluster: Cluster) -> None:
    cluster.submit(2, scopes={"user": "u"})
    client, keys = cluster.store.client, cluster.store.keys
    client.delete(keys.scope_use())
    client.hset(keys.schema(), "version", 1)

    cluster.leader()
    agent = cluster.agent().start()

    cluster.done(2)
    agent.stop()
    assert nothing_is_left(cluster, USER, GLOBAL)
    Client(cluster.url, cluster.namespace).close()
