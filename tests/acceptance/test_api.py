"""The HTTP API as a process, beside a replica and an agent: asked by HTTP over loopback."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
import pytest

from scheduler.auth.keys import ApiKeys
from scheduler.testing import Cluster, wait_until
from tests.acceptance.ports import free_ports

pytestmark = pytest.mark.acceptance

JOBS = "/api/offices/acme/jobs"
LARGE = 10 * 1024 * 1024
SLOW_WORK = "import time\nfor n in range(3):\n    print(n, flush=True)\n    time.sleep(0.2)\n"


@dataclass
class Web:
    """A running API and a key for it."""

    cluster: Cluster
    port: int
    client: httpx.Client

    def events(self, **more: Any) -> Any:
        """A stream of events, open while the context is."""
        return self.client.stream("GET", "/api/events", timeout=30, **more)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Cluster(tmp_path_factory.mktemp("api"), settings={"SWEEP": "1s"}) as cluster:
        port = free_ports(1)
        cluster.start_replica("r1")
        cluster.start_agent("a1")
        cluster.start("api", ["api", "run", "--port", str(port)])
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1")
        store = cluster.client.store
        store.offices.create("acme", {"roles": ["dev"]})
        key, _ = ApiKeys(store.api_keys).create("admin")
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            wait_until(lambda: _answers(client), within=90, saying="the API never answered")
            yield Web(cluster, port, client)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _told(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream; what has no data is none."""
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_job_that_came_by_http_runs_and_is_followed_to_its_end(web: Web) -> None:
    """J7, J9."""
    seen: list[dict[str, Any]] = []
    with web.events(params={"events": "job_*", "office": "acme"}) as stream:
        body = {"command": ["python3", "-c", SLOW_WORK], "role": "dev"}
        job = web.client.post(JOBS, json=body).json()["id"]
        with web.client.stream("GET", f"{JOBS}/{job}/logs?follow=true") as log:
            printed = "".join(log.iter_text())
        for event in _told(stream.iter_lines()):
            seen.append(event)
            if event["name"] == "job_completed":
                break
    names = [event["name"] for event in seen]

    assert ["0", "1", "2"] == printed.split()
    assert ("job_queued", "job_completed") == (names[0], names[-1])
    assert "job_started" in names
    shown = web.client.get(f"{JOBS}/{job}").json()
    assert ("SUCCEEDED", 1) == (shown["state"], shown["attempt"])
    (execution,) = web.client.get(f"{JOBS}/{job}/executions").json()["items"]
    assert ("succeeded", ["a1"]) == (execution["status"], execution["agents"])
    again: list[str] = []
    with web.events(params={"events": "job_*"}, headers={"Last-Event-ID": seen[1]["id"]}) as stream:
        for event in _told(stream.iter_lines()):
            again.append(event["id"])
            if event["name"] == "job_completed":
                break
    assert [event["id"] for event in seen[2:]] == again
    assert all(int(a.split("-")[1]) < int(b.split("-")[1]) for a, b in pairwise(again))


def test_a_large_body_is_refused_before_it_is_read(web: Web) -> None:
    """What is sent in pieces says nothing of itself: it is cut off where it is too much."""
    head = f"POST {JOBS} HTTP/1.1\r\nHost: x\r\nAuthorization: {web.client.headers['authorization']}\r\n"
    kind = "Content-Type: application/json\r\n"
    for size in (f"Content-Length: {LARGE}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", web.port), timeout=20) as raw:
            raw.sendall((head + kind + size).encode())
            piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
            sent = 0
            while "chunked" in size and sent < 5 * 1024 * 1024:
                raw.sendall(piece)
                sent += 65_536
            answer = b""
            while b"request_id" not in answer and (more := raw.recv(4_096)):
                answer += more

        assert answer.startswith(b"HTTP/1.1 413")
        assert b"more than 4194304 bytes" in answer


def test_who_leaves_a_stream_gives_it_back(web: Web) -> None:
    with web.events() as stream:
        assert stream.status_code == 200
        assert 1 <= web.client.get("/health").json()["streams"]

    wait_until(
        lambda: web.client.get("/health").json()["streams"] == 0,
        within=90,
        saying="the stream of a reader who left stays open",
    )


def test_without_redis_it_lives_and_is_not_ready(web: Web) -> None:
    """J8."""
    web.cluster.redis.kill()
    try:
        assert 200 == web.client.get("/health/live").status_code
        ready = web.client.get("/health")
        assert (503, True, False) == (
            ready.status_code,
            ready.json()["alive"],
            ready.json()["ready"],
        )
        refused = web.client.get(JOBS)
        assert (503, "Store unavailable") == (refused.status_code, refused.json()["title"])
        assert int(refused.headers["retry-after"]) >= 1
    finally:
        web.cluster.redis.start()
    wait_until(lambda: _answers(web.client), within=90, saying="it never became ready again")

    assert 200 == web.client.get(JOBS).status_code


def test_a_signal_ends_streams_and_the_process_at_once(web: Web) -> None:
    with web.events() as stream:
        assert stream.status_code == 200
        web.cluster.kill("api", signal.SIGTERM)

        for _ in stream.iter_text():  # to its end, which is not an error
            pass
    assert 0 == web.cluster.processes["api"].wait(timeout=60)
