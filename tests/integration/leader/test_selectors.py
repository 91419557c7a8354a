"""What a selector remembers goes from leader to leader."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from scheduler.domain.errors import Deposed
from scheduler.domain.moves import Keep
from scheduler.domain.states import SessionState
from scheduler.domain.term import Term
from scheduler.leader.replica import Replica
from scheduler.store.leadership import LeaderStore
from tests.integration.leader.world import GROUP, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]


def kept(cluster: Cluster, selector: str) -> dict[str, Any]:
    """What is stored for a selector, read."""
    text = cluster.store.client.hget(cluster.store.keys.selector(GROUP), selector)
    return cast("dict[str, Any]", json.loads(cast("str | None", text) or "{}"))


def placed_on(cluster: Cluster, count: int) -> list[str]:
    """Where sessions submitted one after the other go."""
    found = []
    for _ in range(count):
        session = cluster.submit(1)[0]
        found.append(cluster.reach(session, SessionState.RUNNING, within=60).kernels[0].agent)
    return found


def hand_over(first: Replica, second: Replica) -> None:
    first.stop()
    wait_until(lambda: second.health()["leads"], within=60, saying="the follower leads")


def test_round_robin_goes_on_where_the_last_leader_stopped(cluster: Cluster) -> None:
    """K3, D1: the last id is written in the commit of the placements it belongs to."""
    cluster.configure(agent_selector="roundrobin")
    first = cluster.leader("r1")
    for name in ("a1", "a2", "a3"):
        cluster.agent(name).start(holding=True)
    assert ["a1", "a2", "a3", "a1"] == placed_on(cluster, 4)
    assert {"": "a1"} == kept(cluster, "roundrobin")["last"]

    hand_over(first, cluster.replica("r2"))

    assert ["a2", "a3", "a1"] == placed_on(cluster, 3)


def test_round_robin_goes_on_when_options_of_its_group_change(cluster: Cluster) -> None:
    """K3: the plugins are made anew, their memory is not."""
    cluster.configure(agent_selector="roundrobin")
    cluster.leader("r1")
    for name in ("a1", "a2"):
        cluster.agent(name).start(holding=True)
    assert ["a1"] == placed_on(cluster, 1)

    # The leader hears of it before it hears of the next session.
    cluster.configure(max_rescues=7)

    assert ["a2"] == placed_on(cluster, 1)


def test_fragmentation_goes_on_with_what_was_learned_and_counts_nobody_twice(
    cluster: Cluster,
) -> None:
    """X13: sessions that still wait are loaded by the next leader, too."""
    cluster.configure(agent_selector="fragmentation", grows=True)
    first = cluster.leader("r1")
    cluster.agent("a1").start(holding=True)
    cluster.submit(5, slots={"cpu": "2", "cuda.shares": "300"})
    placed_on(cluster, 1)
    assert [[2000, "cuda", 300, 1, [], 5]] == kept(cluster, "fragmentation")["kinds"]

    hand_over(first, cluster.replica("r2"))
    cluster.submit(1, slots={"cpu": "2", "cuda.shares": "300"})
    placed_on(cluster, 1)

    assert [[2000, "cuda", 300, 1, [], 6]] == kept(cluster, "fragmentation")["kinds"]


def test_what_cannot_be_read_is_begun_anew(cluster: Cluster) -> None:
    cluster.configure(agent_selector="roundrobin")
    cluster.store.client.hset(cluster.store.keys.selector(GROUP), "roundrobin", "from elsewhere")
    cluster.leader("r1")
    cluster.agent("a1").start(holding=True)

    assert ["a1"] == placed_on(cluster, 1)
    assert {"": "a1"} == kept(cluster, "roundrobin")["last"]


def test_a_deposed_leader_overwrites_nothing_that_is_kept(cluster: Cluster) -> None:
    """X1."""
    cluster.configure(agent_selector="roundrobin")
    cluster.leader("r1")
    cluster.agent("a1").start(holding=True)
    placed_on(cluster, 1)
    before = kept(cluster, "roundrobin")
    client = cluster.store.client
    late = LeaderStore(client, client, cluster.store.keys, Term(GROUP, 1, "0" * 32, "late"))

    with pytest.raises(Deposed):
        late.apply([Keep(GROUP, "roundrobin", "late")])

    assert before == kept(cluster, "roundrobin")
