"""Two replicas: whoever leads, nothing is lost and nothing runs twice."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from scheduler.domain.errors import Deposed
from scheduler.domain.moves import Tell
from scheduler.domain.states import SessionState
from scheduler.domain.term import Term
from scheduler.leader.elector import Tenure, connection_name
from scheduler.leader.replica import Candidacy, Replica
from scheduler.store.embedded import EmbeddedRedis
from scheduler.store.leadership import LeaderStore
from tests.busy import busy
from tests.integration.leader.world import GROUP, Cluster, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState


def candidacy(replica: Replica) -> Candidacy:
    return replica._candidacies[0]


def tenure(replica: Replica) -> Tenure:
    found = candidacy(replica)._elector.tenure
    assert found is not None
    return found


def leads_after(replica: Replica, *, within: float = 60.0) -> float:
    """Seconds until it leads."""
    began = monotonic()
    wait_until(lambda: replica.health()["leads"], within=within, saying="the follower leads")
    return monotonic() - began


def freeze(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SIGSTOP does: it neither renews nor stands any more, but keeps its connections."""
    monkeypatch.setattr(candidacy(replica)._elector, "renew", lambda: None)
    monkeypatch.setattr(candidacy(replica)._elector, "stand", lambda: None)


def run_through(cluster: Cluster, count: int) -> None:
    """Sessions submitted now end well."""
    sessions = cluster.submit(count)
    for session in sessions:
        cluster.reach(session, S.SUCCEEDED)


def test_a_follower_leads_at_once_after_a_clean_stop(cluster: Cluster) -> None:
    """D1; architecture 9: 0.2 s on a quiet machine, and long before the lock would expire."""
    first = cluster.leader("r1", leader_ttl="30s")
    second = cluster.replica("r2", leader_ttl="30s")
    cluster.agent().start()
    run_through(cluster, 3)

    stopping = threading.Thread(target=first.stop)
    stopping.start()

    assert leads_after(second) < 5.0 * busy()
    stopping.join()
    run_through(cluster, 3)


def test_a_follower_leads_once_the_leaders_connection_is_gone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X2: faster than the TTL, as after SIGKILL."""
    first = cluster.leader("r1", leader_ttl="30s")
    second = cluster.replica("r2", leader_ttl="30s")
    freeze(first, monkeypatch)
    nonce = tenure(first).term.nonce

    cluster.store.client.client_kill_filter(_id=cluster.store.leadership.show(GROUP)["connection"])

    assert leads_after(second) < 10.0 * busy()
    assert cluster.store.leadership.show(GROUP)["nonce"] != nonce
    assert connection_name(nonce) != connection_name(cluster.store.leadership.show(GROUP)["nonce"])


def test_a_follower_leads_after_the_lock_expired(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1; architecture 9: TTL + 0.5 s."""
    first = cluster.leader("r1")
    second = cluster.replica("r2")
    cluster.agent().start()

    freeze(first, monkeypatch)

    assert leads_after(second) < 8.0 * busy()
    wait_until(lambda: not first.health()["leads"], saying="the first knows")
    run_through(cluster, 3)


def test_a_deposed_leaders_late_write_is_refused_and_counted(cluster: Cluster) -> None:
    """X1, W9."""
    first = cluster.leader("r1")
    old: Term = tenure(first).term
    first.stop()
    cluster.leader("r2")
    late = LeaderStore(cluster.store.client, cluster.store.client, cluster.store.keys, old)

    with pytest.raises(Deposed):
        late.apply([Tell(GROUP, "agents.storm", "too late")])

    assert "1" == cluster.store.leadership.show(GROUP)["late_writes"]
    assert [] == [e for e in cluster.store.events.newest(100) if e.name == "agents.storm"]


def test_a_leader_that_is_asked_to_resign_lets_the_other_lead(cluster: Cluster) -> None:
    cluster.leader("r1", leader_ttl="30s")
    second = cluster.replica("r2", leader_ttl="30s")
    cluster.agent().start()
    run_through(cluster, 1)

    cluster.store.leadership.ask_resign(GROUP)

    assert leads_after(second) < 5.0 * busy()


def assert_each_ran_once(cluster: Cluster, sessions: list[str]) -> None:
    ran = Counter(order[:26] for agent in cluster.agents for order in agent.started)
    assert dict.fromkeys(sessions, 1) == ran
    counts = cluster.store.sessions.counts(GROUP)
    assert {S.SUCCEEDED: len(sessions)} == {
        state: count for state, count in counts.items() if count
    }
    for agent in cluster.agents:
        record = cluster.store.agents.get(agent.name)
        assert record.capacity == record.free


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_a_take_over_in_the_middle_loses_nothing_and_runs_nothing_twice(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """X8: 500 sessions."""
    first = cluster.leader("r1")
    second = cluster.replica("r2")
    for name in ("a1", "a2"):
        cluster.agent(name).start()
    sessions = cluster.submit(500)
    cluster.done(100)

    if how == "stop":
        first.stop()
    else:
        freeze(first, monkeypatch)

    leads_after(second)
    cluster.done(500)
    assert_each_ran_once(cluster, sessions)


def test_a_redis_restart_in_the_middle_loses_nothing_and_rescues_nobody(tmp_path: Path) -> None:
    """Architecture 9."""
    with EmbeddedRedis(tmp_path, options={"appendfsync": "always"}) as server:
        cluster = Cluster(server.url, f"t{uuid4().hex[:8]}")
        cluster.leader("r1")
        cluster.replica("r2")
        agent = cluster.agent("a1").start(holding=True)
        running = cluster.submit(5)
        for session in running:
            cluster.reach(session, S.RUNNING)

        server.restart()

        wait_until(
            lambda: any(r.health()["leads"] for r in cluster.replicas),
            within=60,
            saying="somebody leads",
        )
        late = cluster.submit(5)
        for session in late:
            cluster.reach(session, S.RUNNING, within=60)
        agent.end(list(agent.running.values()))
        for session in (*running, *late):
            assert (1, 0) == ((data := cluster.reach(session, S.SUCCEEDED)).attempt, data.rescues)
        cluster.close()


def test_a_short_silence_of_redis_does_not_end_the_term(cluster: Cluster) -> None:
    first = cluster.leader("r1", leader_ttl="5s", leader_renew="250ms")
    agent = cluster.agent().start()
    run_through(cluster, 1)
    term = tenure(first).term.number

    cluster.store.client.client_kill_filter(_type="normal", skipme=True)

    run_through(cluster, 3)
    assert 4 == len(agent.started)
    terms = [e for e in cluster.store.events.newest(1000) if e.name == "leader.elected"]
    assert (1, term) == (len(terms), tenure(first).term.number)
