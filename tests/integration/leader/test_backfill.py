"""Reservations through a real leader: a big session among small ones that keep coming."""

from __future__ import annotations

import pytest

from scheduler.cli.output import moment
from scheduler.domain.states import SessionState as S
from scheduler.operations.explain import Explanation
from scheduler.operations.explaining import explain_session
from tests.integration.leader.world import Cluster, FakeAgent, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]

BIG, SMALL = {"cpu": "4"}, {"cpu": "1"}


def explained(cluster: Cluster, session: str, word: str) -> Explanation:
    """What a session is told, once it says so."""
    return wait_until(
        lambda: e if word in (e := explain_session(cluster.store, session)).says else None,
        saying=f"{session} is told {word!r}",
    ) or explain_session(cluster.store, session)


def busy(cluster: Cluster) -> FakeAgent:
    """An agent of four cores, full of small sessions that run."""
    agent = cluster.agent("a1")
    cluster.submit(4, slots=SMALL)
    agent.up(agent.taken(4))
    cluster.done(4, state=S.RUNNING)
    return agent


@pytest.mark.parametrize("kind", ["easy", "conservative"])
def test_a_big_session_starts_although_small_ones_keep_coming(cluster: Cluster, kind: str) -> None:
    """X6."""
    cluster.configure(backfill=kind)
    cluster.leader()
    agent = busy(cluster)
    big = cluster.submit(1, slots=BIG)[0]
    explained(cluster, big, "reserved on a1")

    for _ in range(4):
        cluster.submit(1, slots=SMALL)
        agent.end([next(iter(agent.running.values()))])
    agent.up(agent.taken(1))
    assert cluster.reach(big, S.RUNNING).kernels[0].slots == {"cpu": 4_000}
    assert cluster.store.sessions.counts("default")[S.READY] == 4


def test_without_reservations_it_starves(cluster: Cluster) -> None:
    """X6: what the others are for."""
    cluster.configure(backfill="none")
    cluster.leader()
    agent = busy(cluster)
    big = cluster.submit(1, slots=BIG)[0]
    explained(cluster, big, "no agent has cpu=4")

    for _ in range(8):
        coming = cluster.submit(1, slots=SMALL)
        agent.end([next(iter(agent.running.values()))])
        agent.up(agent.taken(1))
        cluster.reach(coming[0], S.RUNNING)
    assert cluster.get(big).state is S.READY


def test_who_ends_before_it_runs_in_front_and_who_may_not_is_told(cluster: Cluster) -> None:
    """X6: expected start, and for whom room is held back."""
    cluster.leader()
    agent = busy(cluster)
    big = cluster.submit(1, slots=BIG)[0]
    expected = explained(cluster, big, "reserved on a1").expected_start
    long = cluster.submit(1, slots=SMALL, timeout="1h")[0]
    agent.end([next(iter(agent.running.values()))])
    told = wait_until(
        lambda: [r for r in explain_session(cluster.store, long).refusals if r.by == "backfill"],
        saying="the long one is told",
    )
    short = cluster.submit(1, slots=SMALL, timeout="10s")[0]
    agent.up(agent.taken(1))

    cluster.reach(short, S.RUNNING)
    deadline = 30 * 60_000 + max(
        cluster.get(order.session).running_at or 0 for order in agent.running.values()
    )
    assert expected is not None
    assert deadline - 10_000 <= expected <= deadline + 10_000
    assert (
        f"a1 is reserved for session {big} from {moment(expected)} on; it may run longer than that"
    ) == told[0].reason
    assert (None, S.READY) == (
        explain_session(cluster.store, long).expected_start,
        cluster.get(long).state,
    )
