"""Submits per second, batched and single, beside RQ's enqueue on the same server."""

from __future__ import annotations

from functools import partial
from time import perf_counter

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks import placing
from benchmarks.ceiling import nearby
from benchmarks.scale import Scale
from benchmarks.server import own_redis
from scheduler.leader.stage import Stage

_RQ_BATCH = 200


def measure(scale: Scale) -> dict[str, float]:
    """Ours and RQ's."""
    return nearby("submission", scale, partial(_rates, scale))


def _rates(scale: Scale) -> dict[str, float]:
    many, one = scale.submit_many, scale.submit_one
    with own_redis() as server:
        with Stage(server.url, "bench", {}) as stage:
            stage.sessions.submit([placing.spec(n) for n in range(_RQ_BATCH)])
            specs = [placing.spec(n) for n in range(many + one)]
            started = perf_counter()
            stage.sessions.submit(specs[:many])
            batched = perf_counter()
            for spec in specs[many:]:
                stage.sessions.submit([spec])
            ended = perf_counter()
        # RQ wants a client of its own: it reads bytes.
        with redis.Redis(port=server.port) as client:
            rates = rq_rates(client, one)
    return {
        "submit_many_per_s": many / (batched - started),
        "submit_one_per_s": one / (ended - batched),
        **rates,
    }


def rq_rates(client: redis.Redis, count: int) -> dict[str, float]:
    """RQ's enqueue one by one, and its enqueue_many."""
    queue = Queue("bench", connection=client, serializer=JSONSerializer)
    arguments = [(n, f"s3://bucket/part-{n:06}") for n in range(count)]
    queue.enqueue("package.module:function", *arguments[0])
    started = perf_counter()
    for pair in arguments:
        queue.enqueue("package.module:function", *pair)
    single = perf_counter()
    for start in range(0, count, _RQ_BATCH):
        batch = arguments[start : start + _RQ_BATCH]
        queue.enqueue_many([Queue.prepare_data("package.module:function", p) for p in batch])
    ended = perf_counter()
    return {
        "rq_enqueue_per_s": count / (single - started),
        "rq_enqueue_many_per_s": count / (ended - single),
    }
