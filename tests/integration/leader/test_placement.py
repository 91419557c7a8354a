"""Constraints and gangs through a real leader: what is committed, what is not, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.errors import (
    DesignatedAgentNotFound,
    InvalidSpec,
    UnknownPlugin,
    Unsatisfiable,
)
from scheduler.domain.scope import GLOBAL, ScopeUse
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState as S
from scheduler.protocol.report import EndReason
from tests.integration.leader.world import GROUP, Cluster, FakeAgent, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]

KERNELS = [{"cpu": "2"}, {"cpu": "1"}, {"cpu": "1"}]


def gang(cluster: Cluster, **more: Any) -> str:
    """Submit three kernels, of which two fit on one of the agents below."""
    return cluster.submit(**({"kernels": KERNELS, "cluster_mode": "multi-node"} | more))[0]


def three(cluster: Cluster) -> list[FakeAgent]:
    """Three agents with room for two, one and one."""
    sizes = {"a1": 2_000, "a2": 1_000, "a3": 1_000}
    return [
        cluster.agent(name, cpu=cpu, address=f"10.0.0.{name[1:]}") for name, cpu in sizes.items()
    ]


def submitted(cluster: Cluster) -> int:
    return sum(cluster.store.sessions.counts(GROUP).values())


def nothing_is_held(cluster: Cluster) -> bool:
    agents = cluster.store.agents.many(cluster.store.agents.ids(GROUP))
    use = cluster.store.scopes.read([GLOBAL])[GLOBAL]
    return use == ScopeUse(pending=use.pending, pending_slots=use.pending_slots) and all(
        agent.free == agent.capacity for agent in agents
    )


def names_of(cluster: Cluster, session: str) -> list[str]:
    events = cluster.store.events.since("0-0", limit=1_000)
    return [event.name for event in events if event.fields.get("session") == session]


def test_kernels_of_a_gang_learn_their_peers_and_end_together(cluster: Cluster) -> None:
    """K10: each kernel by its own request; RUNNING once the last is up, ended once the last has ended."""
    cluster.leader()
    agents = three(cluster)
    session = gang(cluster)
    orders = [agent.taken()[0] for agent in agents]
    agents[0].up(orders[:1])
    agents[1].up(orders[1:2])
    preparing = cluster.reach(session, S.PREPARING)
    agents[2].up(orders[2:])
    cluster.reach(session, S.RUNNING)
    for agent, order in zip(agents, orders, strict=True):
        agent.end([order])
    done = cluster.reach(session, S.SUCCEEDED)

    assert ["a1", "a2", "a3"] == [kernel.agent for kernel in preparing.kernels]
    assert [(0, {"cpu": 2000}), (1, {"cpu": 1000}), (2, {"cpu": 1000})] == [
        (order.kernel, order.slots) for order in orders
    ]
    assert [["10.0.0.1", "10.0.0.2", "10.0.0.3"]] * 3 == [order.hosts for order in orders]
    assert ("a1", "a2", "a3") == done.history[0].agents
    assert nothing_is_held(cluster)


def test_one_kernels_failure_stops_the_others(cluster: Cluster) -> None:
    """K10: they end together."""
    cluster.leader()
    agents = three(cluster)
    session = gang(cluster)
    orders = [agent.taken()[0] for agent in agents]
    for agent, order in zip(agents, orders, strict=True):
        agent.up([order])
    cluster.reach(session, S.RUNNING)
    agents[1].end([orders[1]], exit_code=7, reason=EndReason.EXITED)

    def ended() -> SessionData | None:
        for agent in (agents[0], agents[2]):
            agent.take()
        data = cluster.get(session)
        return data if data.ended else None

    found = wait_until(ended, saying="the gang has ended")

    assert found is not None
    assert (S.FAILED, ["stopped", "exited", "stopped"]) == (
        found.state,
        [kernel.reason for kernel in found.kernels],
    )
    assert nothing_is_held(cluster)


def test_a_lost_agent_rescues_the_gang_as_a_whole(cluster: Cluster) -> None:
    """K10, X8: the living kernels are stopped, then all run again, elsewhere."""
    cluster.leader()
    agents = three(cluster)
    lost = cluster.agent("a4", cpu=1_000)
    session = gang(cluster, kernels=[{"cpu": "2"}, {"cpu": "1"}], agents=["a1", "a4"])
    first, second = agents[0].taken()[0], lost.taken()[0]
    agents[0].up([first])
    lost.up([second])
    cluster.reach(session, S.RUNNING)
    cluster.store.agents.declare_lost("a4", force=True)

    def waits() -> SessionData | None:
        for agent in agents:
            agent.beat()
        agents[0].take()
        data = cluster.get(session)
        return data if data.state is S.READY else None

    found = wait_until(waits, saying="the gang waits again")
    cluster.boot("a4").register(cpu=1_000, swept=lost.boot).admitted()
    again = cluster.reach(session, S.SCHEDULED)

    assert found is not None
    assert (1, ["a1", "a4"]) == (found.rescues, [kernel.agent for kernel in again.kernels])


def test_a_gang_of_which_one_agent_was_drained_meanwhile_leaves_no_trace(
    cluster: Cluster,
) -> None:
    """K10: the commit is refused as a whole: slots, counters, queues, events."""
    leader = cluster.leader()
    three(cluster)
    # The leader is not told: its snapshot still counts on a3.
    cluster.store.client.hset(cluster.store.keys.record("a3"), "drained", "1")
    session = gang(cluster)
    wait_until(
        lambda: cluster.app.session(session).explain().refusals,
        saying="the leader saw that it was stale",
    )
    queues = [
        cluster.store.client.llen(cluster.store.keys.rq_queue(name))
        + cluster.store.client.hlen(cluster.store.keys.orders(name))
        for name in ("a1", "a2", "a3")
    ]

    assert leader.health()["leads"]
    assert S.READY is cluster.get(session).state
    assert (["session.ready"], [0, 0, 0]) == (names_of(cluster, session), queues)
    assert nothing_is_held(cluster)

    cluster.store.agents.undrain("a3")

    assert 3 == len(cluster.reach(session, S.SCHEDULED).kernels)


def test_a_session_that_failed_on_an_agent_is_tried_on_another(cluster: Cluster) -> None:
    """K4: agents that just failed this session come last; a1 would be the first by its id."""
    cluster.leader()
    first, second = cluster.agent("a1"), cluster.agent("a2")
    (session,) = cluster.submit(retries=2)
    first.end(first.taken(), exit_code=1, reason=EndReason.EXITED)
    second.end(second.taken(), exit_code=1, reason=EndReason.EXITED)
    first.end(first.taken())
    done = cluster.reach(session, S.SUCCEEDED)

    assert [("a1",), ("a2",), ("a1",)] == [attempt.agents for attempt in done.history]


def test_a_new_leader_remembers_where_a_session_failed(cluster: Cluster) -> None:
    """K4: the history is in the store."""
    cluster.leader()
    first, second = cluster.agent("a1"), cluster.agent("a2")
    (session,) = cluster.submit(retries=1)
    order = first.taken()
    cluster.store.groups.pause(GROUP, "until the next leader")
    first.end(order, exit_code=1, reason=EndReason.EXITED)
    cluster.reach(session, S.READY)
    cluster.replicas[0].stop()
    cluster.leader("r2")
    cluster.store.groups.resume(GROUP)

    assert [session] == [order.session for order in second.taken()]


def test_labels_and_preferences_decide_where(cluster: Cluster) -> None:
    """K4: required labels, preferred labels, designated and preferred agents, architecture."""
    cluster.leader()
    facts = {"a1": ("a", "x86_64"), "a2": ("b", "x86_64"), "a3": ("b", "aarch64")}
    for name, (zone, machine) in facts.items():
        cluster.agent(name, labels={"zone": zone}, architecture=machine)
    wishes: list[dict[str, Any]] = [
        {"labels": {"zone": "b"}},
        {"preferred_labels": {"zone": "b"}},
        {"architecture": "aarch64"},
        {"agents": ["a2", "a3"]},
        {"agents": ["a3"], "agents_strict": False},
    ]
    found = [
        cluster.reach(cluster.submit(**wish)[0], S.SCHEDULED).kernels[0].agent for wish in wishes
    ]

    assert ["a2", "a2", "a3", "a2", "a3"] == found


def test_constraints_that_no_agent_meets_end_the_session_in_words(cluster: Cluster) -> None:
    """K4: the leader refuses; where agents may still be added, it waits and says what they lack."""
    cluster.leader()
    cluster.agent(labels={"zone": "b"})
    (session,) = cluster.submit(labels={"zone": "a"})
    failed = cluster.reach(session, S.FAILED)
    cluster.configure(grows=True)
    (waits,) = cluster.submit(labels={"zone": "a"})

    assert (
        "it can never run here: it asks for cpu=0.1, label zone=a, and no agent of the group has"
        " that, even when idle (of 1: 1 lack label zone=a)"
    ) == failed.reason
    wait_until(
        lambda: "1 lack label zone=a" in cluster.app.session(waits).explain().says,
        saying="the leader says what is missing",
    )
    # Whose end should make room? Nothing runs, and nobody that ended had it.
    [refusal] = cluster.app.session(waits).explain().refusals
    assert (
        "an agent joins that has it: even idle no agent of the group has, and it grows",
    ) == refusal.cures


def test_what_cannot_be_looked_up_is_refused_before_anything_is_written(cluster: Cluster) -> None:
    """K4, K10, K20."""
    cluster.leader()
    cluster.agent("a1")
    cluster.agent("a2")
    with pytest.raises(
        DesignatedAgentNotFound,
        match="group 'default' has no agent a9, where it is to run; known are: a1, a2",
    ):
        cluster.submit(agents=["a1", "a9"])
    with pytest.raises(
        UnknownPlugin,
        match="There is no cluster mode named 'ring'; installed are: multi-node, single-node",
    ):
        cluster.submit(cluster_mode="ring")
    with pytest.raises(InvalidSpec, match="1001 kernels are too many"):
        cluster.submit(kernels=[{"cpu": "1"}] * 1_001)
    with pytest.raises(Unsatisfiable, match="it asks for cpu=16"):
        cluster.submit(kernels=[{"cpu": "16"}, {"cpu": "17"}], cluster_mode="multi-node")

    assert 0 == submitted(cluster)


def test_a_preferred_agent_and_a_group_that_grows_need_nobody_to_be_there(
    cluster: Cluster,
) -> None:
    cluster.leader()
    cluster.agent("a1")
    (rather,) = cluster.submit(agents=["a9"], agents_strict=False)
    placed = cluster.reach(rather, S.SCHEDULED)
    cluster.configure(grows=True)
    (only,) = cluster.submit(agents=["a9"])
    cluster.agent("a9")

    assert "a1" == placed.kernels[0].agent
    assert "a9" == cluster.reach(only, S.SCHEDULED).kernels[0].agent
