"""Graphs under SIGKILL: of the leader while it tells a fan of ten thousand, of the app while it loads."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler import GraphJob, GraphSpec, SessionSpec, SessionState
from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.scope import GLOBAL
from scheduler.operations.recount import Recount
from scheduler.store.audit import AuditRepository
from scheduler.store.miscounts import ScopeCounts
from scheduler.testing import Cluster, wait_until

pytestmark = pytest.mark.acceptance

FAN = 10_000
NOOP = SessionSpec(callable="jobs:noop")
LOADER = """
from scheduler import Client
jobs = [{"name": f"n{number}", "callable": "jobs:noop"} for number in range(20_000)]
print("begins", flush=True)
Client().submit_graph({"jobs": jobs, "idempotency_key": "once"})
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two replicas and no agent: nothing runs, so all that moves is what the leader moves."""
    settings = {"SWEEP": "500ms", "GRAPH_PATIENCE": "2s", "EVENTS_CAP": "1000000"}
    with Cluster(tmp_path_factory.mktemp("graphs"), settings=settings) as made:
        made.start_replica("r1")
        made.start_replica("r2")
        made.wait_for_leader()
        yield made


def counts(cluster: Cluster) -> dict[SessionState, int]:
    return cluster.client.store.sessions.counts("default")


def drift(cluster: Cluster) -> list[str]:
    """What the doctor would count differently."""
    store = cluster.client.store
    recount = Recount(store, AuditRepository(store.client, store.keys), lambda _: None)
    tally = recount.indexes()
    wrong = ScopeCounts(store.client, store.keys).miscounts() or []
    return [*tally.drift, *recount.requests(tally), *(each.says for each in wrong)]


def test_a_fan_is_told_whole_though_the_leader_is_killed_in_the_middle(cluster: Cluster) -> None:
    """J1: exactly once each, by two leaders."""
    fan = [f"f{number}" for number in range(FAN)]
    above = {"a": EdgePolicy.IGNORE}
    jobs = [GraphJob(name="a", spec=NOOP)]
    jobs += [GraphJob(name=name, spec=NOOP, needs=above) for name in fan]
    graph = cluster.client.submit_graph(GraphSpec(jobs=jobs))
    wait_until(
        lambda: counts(cluster)[SessionState.READY] == 1, within=60, saying="it was never shown"
    )
    leader = cluster.wait_for_leader()

    graph.jobs["a"].cancel()
    wait_until(
        lambda: counts(cluster)[SessionState.READY] > FAN // 10,
        within=60,
        saying="the fan was never begun",
    )
    cluster.kill(leader)
    told = counts(cluster)[SessionState.READY]

    wait_until(
        lambda: counts(cluster)[SessionState.READY] == FAN, within=60, saying="some were never told"
    )
    assert told < FAN
    seen = Counter(
        event.fields["session"]
        for event in cluster.evidence(cluster.folder / "none").events
        if event.name == "session.ready"
    )
    assert {1} == set(seen.values())
    assert {*map(str, (job.id for job in graph.jobs.values()))} == set(seen)
    assert [] == drift(cluster)
    cluster.start_replica(leader)


def test_what_a_killed_app_had_loaded_is_given_back(cluster: Cluster) -> None:
    """J1: nothing of it was ever seen, and nothing stays."""
    store = cluster.client.store
    before, events = counts(cluster), store.events.last_id()
    pending = store.scopes.read([GLOBAL])[GLOBAL].pending
    app = subprocess.Popen(
        [sys.executable, "-c", LOADER], env=cluster.environment, stdout=subprocess.DEVNULL
    )
    loading = store.keys.graphs_loading("default")

    def loaded() -> int:
        found: Any = store.client.zrange(loading, 0, -1)
        return sum(store.client.llen(store.keys.graph_jobs(graph)) for graph in found)

    try:
        wait_until(lambda: loaded() > 1_000, within=90, saying="the app never loaded anything")
    finally:
        app.kill()
        app.wait()
    assert before == counts(cluster)

    wait_until(lambda: not store.client.exists(loading), within=60, saying="it never expired")

    assert (before, pending) == (counts(cluster), store.scopes.read([GLOBAL])[GLOBAL].pending)
    assert not [e for e in store.events.since(events) if e.name.startswith(("graph", "session"))]
    assert not store.client.exists(store.keys.idempotency("once"), store.keys.unseen("default"))
    assert [] == drift(cluster)
