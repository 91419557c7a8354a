"""The HTTP API as a process: submits per second, and reads while two hundred jobs a second are submitted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import count
from time import perf_counter
from typing import Any, Final

from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.api.serving import listen
from scheduler.auth.keys import ApiKeys
from scheduler.bootstrap import Store, open_store
from scheduler.settings import load
from scheduler.store import schema
from scheduler.testing import wait_until

#: Clients that submit at once, each on a connection that it keeps.
_CLIENTS: Final = 8
#: Submits per second beside which reads are measured.
_BESIDE_PER_S: Final = 200
_HOST: Final = "127.0.0.1"
_OFFICE: Final = "bench"
_JOBS: Final = f"/api/offices/{_OFFICE}/jobs"
_BODY: Final = json.dumps({"command": ["true"], "role": "dev", "priority": 50}).encode()
_PATIENCE_S: Final = 30.0


def measure(scale: Scale) -> dict[str, float]:
    """Both figures, on one server: submits first, so that reads meet an office that has jobs."""
    with own_redis() as server:
        store = open_store(load(redis_url=server.url))
        schema.prepare(store.client, store.keys, events_cap=100_000)
        store.groups.configure("default", {})
        store.offices.create(_OFFICE, {"roles": ["dev"]})
        with _serving(store, server.url) as asker:
            _submit(asker, scale.api_submits // 10)
            started = perf_counter()
            job = _submit(asker, scale.api_submits)
            rate = scale.api_submits / (perf_counter() - started)
            reads = _reads_beside(asker, job, scale.api_reads)
        store.client.close()
    return {
        "api_submit_per_s": rate,
        "api_read_p50_ms": percentile(reads, 50),
        "api_read_p99_ms": percentile(reads, 99),
    }


class _Asker:
    """Asks on a connection that it keeps; one for each thread."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._local = threading.local()

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The answer, which must be a good one."""
        if not hasattr(self._local, "connection"):
            self._local.connection = HTTPConnection(_HOST, self._port, timeout=_PATIENCE_S)
        connection = self._local.connection
        connection.request(method, path, body, self._headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:  # noqa: PLR2004 - what is no good answer
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text)


@contextmanager
def _serving(store: Store, url: str) -> Iterator[_Asker]:
    with listen(_HOST, 0) as free:
        port = free.getsockname()[1]
    key, _ = ApiKeys(store.api_keys).create("admin")
    more = {
        "SCHEDULER_REDIS_URL": url,
        "SCHEDULER_API_RATE": "1000000/second",
        "SCHEDULER_LOG_LEVEL": "INFO",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "scheduler.cli", "api", "run", "--port", str(port)],
        env={**os.environ, **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    asker = _Asker(port, key)
    try:
        wait_until(lambda: _lives(port), within=_PATIENCE_S, saying="the API never answered")
        yield asker
    finally:
        process.terminate()
        process.wait()


def _lives(port: int) -> bool:
    connection = HTTPConnection(_HOST, port, timeout=1)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200  # noqa: PLR2004 - it lives
    except OSError:
        return False
    finally:
        connection.close()


def _submit(asker: _Asker, jobs: int) -> str:
    """Submit so many jobs, one by one, from several clients at once; the id of one of them."""
    numbers, made = count(), [""]

    def work() -> None:
        while next(numbers) < jobs:
            made[0] = asker.ask("POST", _JOBS, _BODY)["id"]

    _together(work, _CLIENTS)
    return made[0]


def _reads_beside(asker: _Asker, job: str, reads: int) -> list[float]:
    """How long reads of one job and of a page took, in ms, while others submit at a steady rate."""
    over, found = threading.Event(), []
    begun, numbers = perf_counter(), count()

    def submitting() -> None:
        while not over.is_set():
            due = begun + next(numbers) / _BESIDE_PER_S
            if not over.wait(max(0.0, due - perf_counter())):
                asker.ask("POST", _JOBS, _BODY)

    def reading() -> None:
        for number in range(reads):
            path = f"{_JOBS}/{job}" if number % 2 else f"{_JOBS}?limit=20"
            started = perf_counter()
            asker.ask("GET", path)
            found.append(1_000 * (perf_counter() - started))
            over.wait(0.002)
        over.set()

    submitters = [threading.Thread(target=submitting) for _ in range(_CLIENTS)]
    for thread in submitters:
        thread.start()
    reading()
    for thread in submitters:
        thread.join()
    return found


def _together(work: Callable[[], None], threads: int) -> None:
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
