"""Why is it not running: every reason, told by the store as it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.domain.errors import SessionNotFound, Unsatisfiable
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.domain.states import SessionState
from scheduler.operations.explain import Explanation
from tests.integration.leader.world import Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]


def explain(cluster: Cluster, session: str) -> Explanation:
    return cluster.app.session(session).explain()


def refused(cluster: Cluster, session: str, by: str) -> Explanation:
    """The explanation, once the leader or a rule has refused it so."""

    def look() -> Explanation | None:
        found = explain(cluster, session)
        return found if by in {refusal.by for refusal in found.refusals} else None

    found = wait_until(look, saying=f"{by} refuses")
    assert found is not None
    return found


def test_a_group_without_leader_says_so(cluster: Cluster) -> None:
    (session,) = cluster.submit()

    found = explain(cluster, session)

    assert ("group default has no leader now", 1) == (found.says, found.position)


def test_a_group_without_agents_says_how_to_start_one(cluster: Cluster) -> None:
    cluster.leader()
    (session,) = cluster.submit()

    found = refused(cluster, session, "agents")

    assert "the group has no agent yet: `scheduler agent run` starts one" == found.says
    assert (True, 1) == (found.tries >= 1, len(found.refusals))


def test_agents_without_room_are_counted(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent(cpu=1_000)
    cluster.submit(slots={"cpu": "1"})
    agent.taken()
    first, second = cluster.submit(2, slots={"cpu": "1"})

    found = refused(cluster, second, "agents")

    assert ("no agent has cpu=1 free now (of 1: 1 lack cpu)", 2) == (found.says, found.position)
    assert 1 == explain(cluster, first).position


def test_a_full_scope_is_named_with_its_limit_and_cures(cluster: Cluster) -> None:
    cluster.store.scopes.limit(GLOBAL, ScopeLimits(0))
    cluster.leader()
    (session,) = cluster.submit()

    found = refused(cluster, session, "concurrency")

    assert (
        "You cannot run more than 0 concurrent sessions (global global: 0 of 0 in use)"
        == found.says
    )
    assert (
        "its limit is raised: `scheduler scope set global global --max-sessions N`"
        in found.refusals[0].cures
    )


def test_what_it_depends_on_is_named(cluster: Cluster) -> None:
    cluster.leader()
    (parent,) = cluster.submit(name="load")
    (child,) = cluster.submit(depends_on=[parent])

    found = refused(cluster, child, "dependencies")

    assert f"Waiting dependency sessions to finish as success. (load ({parent}))" == found.says
    assert (f"session {parent}, now READY, succeeds",) == found.refusals[0].cures


def test_a_start_time_that_is_to_come_is_told(cluster: Cluster) -> None:
    cluster.leader()
    (session,) = cluster.submit(not_before=datetime(2100, 1, 1, tzinfo=UTC))

    assert "Before start time" == refused(cluster, session, "reserved-batch").says


def test_what_fits_no_agent_even_when_idle_is_not_taken(cluster: Cluster) -> None:
    cluster.leader()
    cluster.agent(cpu=1_000)

    with pytest.raises(Unsatisfiable, match="asks for cpu=64"):
        cluster.submit(slots={"cpu": "64"})


def test_a_session_that_runs_or_ended_is_told_as_such(cluster: Cluster) -> None:
    cluster.leader()
    agent = cluster.agent()
    (session,) = cluster.submit()
    orders = agent.taken()
    agent.up(orders)
    cluster.reach(session, SessionState.RUNNING)
    running = explain(cluster, session).says
    agent.end(orders, exit_code=3)
    cluster.reach(session, SessionState.FAILED)

    assert ("it is RUNNING on a1", "it ended FAILED (failed: kernel 0 exited with 3)") == (
        running,
        explain(cluster, session).says,
    )


def test_a_session_that_is_not_known_is_said_not_to_be(cluster: Cluster) -> None:
    with pytest.raises(SessionNotFound):
        explain(cluster, "0" * 26)


def test_agents_are_explained_one_by_one_and_a_change_that_is_told_is_enough(
    cluster: Cluster,
) -> None:
    """X3: why not on this agent, and the smallest change that lets it run there."""
    cluster.leader()
    first, second = cluster.agent("a1", cpu=2_000), cluster.agent("a2", cpu=4_000)
    (small,) = cluster.submit(slots={"cpu": "1"}, agents=["a1"])
    (large,) = cluster.submit(slots={"cpu": "3"}, agents=["a2"])
    ran = {"a1": first.taken(), "a2": second.taken()}
    (session,) = cluster.submit(slots={"cpu": "2"})
    refused(cluster, session, "agents")

    found = cluster.app.session(session).explain(agents=5)
    alone = cluster.app.session(session).why_not("a2")

    assert [
        "agent a1 lacks cpu 1 (asked 2, free 1 of 2)",
        "agent a2 lacks cpu 1 (asked 2, free 1 of 4)",
    ] == [agent.says for agent in found.agents]
    assert (f"session {large} ends, which holds cpu 3 there",) == alone.answer.changes
    assert cluster.get(small).kernels[0].agent == "a1"
    second.end(ran["a2"])
    assert [session] == [order.session for order in second.taken()]


@pytest.mark.parametrize(
    ("scheduler", "order"), [("lifo", [2, 1, 0, 3]), ("fifo", [0, 1, 2, 3]), ("drf", [0, 3, 1, 2])]
)
def test_the_position_is_that_in_which_the_scheduler_tries_them(
    cluster: Cluster, scheduler: str, order: list[int]
) -> None:
    """X3: three of alice, who came first, and one of bob, which has less priority but under drf."""
    cluster.configure(scheduler=scheduler, grows=True)
    cluster.leader()
    cluster.agent(cpu=1_000)
    large = {"cpu": "2"}
    sessions = cluster.submit(3, keypair="alice", slots=large)
    priority = 10 if scheduler == "drf" else 5
    sessions += cluster.submit(keypair="bob", priority=priority, slots=large)

    def told() -> bool:
        found = [explain(cluster, session).stands for session in sessions]
        return all(stands is not None and stands.scheduler == scheduler for stands in found)

    wait_until(told, saying="the leader has told the order of all")
    found = [explain(cluster, session) for session in sessions]

    assert [order.index(number) + 1 for number in range(4)] == [each.position for each in found]
    last = found[order[3]].stands
    assert last is not None
    assert f"4th of 4 in the order in which scheduler {scheduler} tries them" == last.says
    cluster.app.session(sessions[order[0]]).cancel()
    assert 3 == explain(cluster, sessions[order[3]]).position
