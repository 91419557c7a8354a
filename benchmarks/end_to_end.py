"""No-ops from the first submit call to the last finish: ours, and two stock SimpleWorkers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

from rq import Queue

from benchmarks.rq_workers import NOOP, SIMPLE, finished, rq_workers
from benchmarks.scale import Scale
from benchmarks.server import own_redis
from scheduler import SessionSpec, SessionState
from scheduler.testing import Cluster, wait_until

AGENTS: Final = ("a1", "a2")
#: Sixteen kernels at once per agent: as many as it keeps warm children for.
AGENT_SLOTS, SESSION_SLOTS = "cpu=4,mem=4GiB", {"cpu": "250m"}
_BATCH = 200
_LOOK_S = 0.02
_PATIENCE_S = 120.0


def measure(scale: Scale) -> dict[str, float]:
    """Both rates."""
    return {
        "end_to_end_per_s": ours(scale.end_to_end, scale.warm_up),
        "rq_simple_per_s": rq_simple(scale.end_to_end, scale.warm_up),
    }


def ours(count: int, warm_up: int) -> float:
    """One replica, two agents; batched."""
    with (
        tempfile.TemporaryDirectory(prefix="scheduler-bench-") as folder,
        Cluster(Path(folder)) as cluster,
    ):
        cluster.start_replica("r1")
        for agent in AGENTS:
            cluster.start_agent(agent, slots=AGENT_SLOTS)
        cluster.wait_for_leader()
        cluster.wait_for_agents(*AGENTS)
        _run_ours(cluster, warm_up, before=0)
        return _run_ours(cluster, count, before=warm_up)


def _run_ours(cluster: Cluster, count: int, *, before: int) -> float:
    specs = [
        SessionSpec(callable="benchmarks.work:noop", slots=SESSION_SLOTS) for _ in range(count)
    ]
    sessions = cluster.client.store.sessions
    started = perf_counter()
    sessions.submit(specs)
    wait_until(
        lambda: sessions.counts("default")[SessionState.SUCCEEDED] >= before + count,
        within=_PATIENCE_S,
        saying=f"not all of {count} no-ops succeeded",
        every=_LOOK_S,
    )
    return count / (perf_counter() - started)


def rq_simple(count: int, warm_up: int) -> float:
    """The same number of no-ops on two SimpleWorkers, enqueued in batches."""
    with own_redis() as server, rq_workers(server.port, SIMPLE, 2) as (client, queue):
        _enqueue(queue, warm_up)
        wait_until(lambda: finished(client) >= warm_up, within=_PATIENCE_S, saying="RQ's jobs hang")
        started = perf_counter()
        _enqueue(queue, count)
        wait_until(
            lambda: finished(client) >= warm_up + count,
            within=_PATIENCE_S,
            saying="RQ's jobs hang",
            every=_LOOK_S,
        )
        return count / (perf_counter() - started)


def _enqueue(queue: Queue, count: int) -> None:
    for start in range(0, count, _BATCH):
        queue.enqueue_many([Queue.prepare_data(NOOP) for _ in range(min(_BATCH, count - start))])
