"""How long one session waits on an idle cluster until it runs, and what an idle replica costs."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from threading import Event
from time import perf_counter

import psutil
from rq import Queue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from benchmarks.rq_workers import FORK, NOOP, rq_workers
from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler import SessionSpec
from scheduler.testing import Cluster, wait_until

_WARM_UP = 5
_PATIENCE_S = 30.0
#: Between two sessions, so that each finds the cluster idle.
_PAUSE_S = 0.03


def measure(scale: Scale) -> dict[str, float]:
    """Ours by Redis' clock, RQ's by its own record; both on this machine."""
    waits = submit_to_running(scale.latencies)
    pickups = rq_fork_pickup(scale.latencies)
    return {
        "submit_to_running_p50_ms": percentile(waits, 50),
        "submit_to_running_p99_ms": percentile(waits, 99),
        "rq_fork_pickup_p50_ms": percentile(pickups, 50),
        "rq_fork_pickup_p99_ms": percentile(pickups, 99),
    }


def submit_to_running(count: int) -> list[float]:
    """From ``submitted_at`` to the RUNNING event, ms, one session at a time."""
    with (
        tempfile.TemporaryDirectory(prefix="scheduler-bench-") as folder,
        Cluster(Path(folder)) as cluster,
    ):
        cluster.start_replica("r1")
        cluster.start_agent("a1")
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1")
        waits = [_one(cluster) for _ in range(count + _WARM_UP)]
    return waits[_WARM_UP:]


def _one(cluster: Cluster) -> float:
    [session] = cluster.client.enqueue_many([SessionSpec(callable="benchmarks.work:noop")])
    data = session.wait(_PATIENCE_S)
    Event().wait(_PAUSE_S)
    if data.running_at is None:
        raise AssertionError(f"session {session.id} ended {data.state} without having run")
    return data.running_at - data.submitted_at


def rq_fork_pickup(count: int) -> list[float]:
    """From enqueue to the job's start in a stock forking worker, ms, one job at a time."""
    with own_redis() as server, rq_workers(server.port, FORK, 1) as (_, queue):
        waits = [_one_job(queue) for _ in range(count + _WARM_UP)]
    return waits[_WARM_UP:]


def _one_job(queue: Queue) -> float:
    job = queue.enqueue(NOOP)
    wait_until(
        lambda: job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED),
        within=_PATIENCE_S,
        saying="RQ's job hangs",
        every=0.005,
    )
    job = Job.fetch(job.id, connection=queue.connection, serializer=JSONSerializer)
    Event().wait(_PAUSE_S)
    began, asked = job.started_at, job.enqueued_at
    if not (isinstance(began, datetime) and isinstance(asked, datetime)):
        raise TypeError("RQ does not tell when its job began")
    return (began - asked).total_seconds() * 1000


def measure_idle(scale: Scale) -> dict[str, float]:
    """CPU seconds per second of a follower and of a leader with two agents and nothing to do."""
    with (
        tempfile.TemporaryDirectory(prefix="scheduler-bench-") as folder,
        Cluster(Path(folder)) as cluster,
    ):
        cluster.start_replica("r1")
        cluster.start_replica("r2")
        for agent in ("a1", "a2"):
            cluster.start_agent(agent)
        leader = cluster.wait_for_leader()
        cluster.wait_for_agents("a1", "a2")
        follower = "r1" if leader == "r2" else "r2"
        wait_until(
            lambda: "replica.started" in cluster.log(follower),
            within=_PATIENCE_S,
            saying="no follower",
        )
        Event().wait(1.0)
        before = {name: _cpu(cluster.processes[name].pid) for name in (leader, follower)}
        started = perf_counter()
        Event().wait(scale.idle_s)
        lasted = perf_counter() - started
        used = {name: _cpu(cluster.processes[name].pid) - before[name] for name in before}
    return {
        "idle_replica_core_share": used[follower] / lasted,
        "idle_leader_core_share": used[leader] / lasted,
    }


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
