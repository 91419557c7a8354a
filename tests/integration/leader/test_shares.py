"""Two users and a leader under fair share and DRF, and the next leader."""

from __future__ import annotations

import pytest

from scheduler.domain.share import DAY_MS
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.store.use import UseRepository
from tests.integration.leader.world import GROUP, Cluster, FakeAgent, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]


def used(cluster: Cluster) -> dict[str, int]:
    """Of each owner, what is recorded of cpu today and yesterday."""
    store = cluster.store
    today = store.sessions.redis_time_ms() // DAY_MS
    found: dict[str, int] = {}
    for owners in UseRepository(store.client, store.keys).read(GROUP, today, 2).values():
        for owner, families in owners.items():
            found[owner] = found.get(owner, 0) + families.get("cpu", 0)
    return found


def has_used(cluster: Cluster, owner: str, amount: int) -> None:
    store = cluster.store
    today = store.sessions.redis_time_ms() // DAY_MS
    store.client.hset(
        store.keys.use(GROUP, str(today)), mapping={f"{owner}\ncpu": str(amount), "": "1"}
    )


def waiting(cluster: Cluster, *owners: str) -> None:
    """One session each that takes the whole agent, called by its owner; the leader hears of all at once."""
    cluster.app.enqueue_many(
        [
            SessionSpec(
                callable="jobs:noop", slots={"cpu": "1"}, scopes={"user": owner}, name=owner
            )
            for owner in owners
        ]
    )


def in_turn(cluster: Cluster, agent: FakeAgent, count: int) -> list[str]:
    """The names of the sessions that get the agent, one after the other."""
    found = []
    for _ in range(count):
        [order] = agent.taken()
        found.append(cluster.get(order.session).name)
        agent.up([order])
        agent.end([order])
    return found


def test_who_used_least_goes_first_also_under_the_next_leader(cluster: Cluster) -> None:
    """K2, D1."""
    cluster.configure(scheduler="fair-share")
    has_used(cluster, "bob", 10**9)
    has_used(cluster, "carol", 10**8)
    first = cluster.leader("r1")
    agent = cluster.agent("a1", cpu=1_000)
    waiting(cluster, "bob", "carol", "alice")
    assert ["alice", "carol", "bob"] == in_turn(cluster, agent, 3)
    wait_until(
        lambda: {"alice", "bob", "carol"} <= used(cluster).keys(), saying="ends are recorded"
    )

    second = cluster.replica("r2")
    first.stop()
    wait_until(lambda: second.health()["leads"], within=60, saying="the follower leads")
    waiting(cluster, "bob", "alice", "dora")

    assert ["dora", "alice", "bob"] == in_turn(cluster, agent, 3)


def test_a_change_of_policy_finds_what_was_used_before(cluster: Cluster) -> None:
    """K2: it is recorded under every scheduler."""
    cluster.leader("r1")
    agent = cluster.agent("a1", cpu=1_000)
    waiting(cluster, "bob")
    in_turn(cluster, agent, 1)
    wait_until(lambda: used(cluster).get("bob"), saying="the end is recorded")

    cluster.configure(scheduler="fair-share", scheduler_opts={"half_life": "1d"})
    waiting(cluster, "bob", "alice")

    assert ["alice", "bob"] == in_turn(cluster, agent, 2)


def test_two_users_alternate_under_drf(cluster: Cluster) -> None:
    """K2: never AAAAAABB."""
    cluster.configure(scheduler="drf")
    cluster.leader("r1")
    agent = cluster.agent("a1", cpu=4_000)
    waiting(cluster, *["alice"] * 4, *["bob"] * 4)

    orders = agent.taken(4)

    assert {"alice": 2, "bob": 2} == {
        owner: sum(cluster.get(order.session).name == owner for order in orders)
        for owner in ("alice", "bob")
    }


def test_a_kernel_whose_agent_is_lost_is_counted_once(cluster: Cluster) -> None:
    """K2, D1: its machine is declared dead by an operator."""
    cluster.leader("r1")
    agent = cluster.agent("a1", cpu=1_000)
    [session] = cluster.submit(1, slots={"cpu": "1"}, scopes={"user": "alice"}, on_lost="fail")
    agent.up(agent.taken())
    cluster.reach(session, SessionState.RUNNING)
    assert {} == used(cluster)

    agent.silent = True
    cluster.store.agents.declare_lost("a1", force=True)
    data = cluster.reach(session, SessionState.FAILED, within=60)

    assert data.ended_at
    assert 0 < used(cluster)["alice"] <= data.ended_at - data.submitted_at + 1
