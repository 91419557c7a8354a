"""Stock RQ workers as processes, on the same server and the same no-op."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from scheduler.testing import wait_until

QUEUE: Final = "bench"
SIMPLE, FORK = "rq.SimpleWorker", "rq.worker.Worker"
#: The function, as it is named to either side.
NOOP: Final = "benchmarks.work.noop"
_PATIENCE_S = 20.0


@contextmanager
def rq_workers(port: int, kind: str, count: int) -> Iterator[tuple[redis.Redis, Queue]]:
    """So many workers of one class, listening; a client of their server and their queue."""
    call = [
        *(sys.executable, "-c", "from rq.cli import main; main()", "worker", "--quiet"),
        *("-u", f"redis://127.0.0.1:{port}/0", "-w", kind),
        *("-S", "rq.serializers.JSONSerializer", QUEUE),
    ]
    processes = [
        subprocess.Popen(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(count)
    ]
    try:
        with redis.Redis(port=port) as client:
            wait_until(
                lambda: Worker.count(connection=client) == count,
                within=_PATIENCE_S,
                saying="RQ's workers did not start",
            )
            yield client, Queue(QUEUE, connection=client, serializer=JSONSerializer)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=_PATIENCE_S)


def finished(client: redis.Redis) -> int:
    """How many jobs of the queue have finished."""
    return int(client.zcard(f"rq:finished:{QUEUE}"))
