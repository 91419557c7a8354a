"""Health and metrics over HTTP, and the catalogue they come from."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.bootstrap import open_store
from scheduler.cli.options import address
from scheduler.domain import moves as m
from scheduler.domain.errors import Deposed
from scheduler.domain.states import SessionState as S
from scheduler.domain.tally import Tally
from scheduler.observability.catalogue import CATALOGUE, Sample
from scheduler.observability.metrics import exposition
from scheduler.observability.serving import StatusServer, pages
from scheduler.operations.inspection import measure
from scheduler.settings import load
from scheduler.store.audit import AuditRepository
from tests.unit.store.lives import World


@dataclass
class Stand:
    """A server whose health and numbers a test sets."""

    facts: dict[str, Any] = field(
        default_factory=lambda: {"alive": True, "ready": True, "leads": []}
    )
    samples: list[Sample] = field(default_factory=lambda: [Sample("scheduler_redis_up", 1)])
    url: str = ""


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    server = StatusServer(
        ("127.0.0.1", 0), pages(lambda: stand.facts, exposition(lambda: stand.samples))
    )
    stand.url = server.url
    server.start()
    yield stand
    server.stop()


def _get(url: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_ready_replica_is_healthy(stand: Stand) -> None:
    status, body = _get(f"{stand.url}/health?verbose=1")

    assert (200, stand.facts) == (status, json.loads(body))
    assert 200 == _get(f"{stand.url}/health/ready")[0]


def test_without_redis_it_lives_and_is_not_ready(stand: Stand) -> None:
    stand.facts["ready"] = False

    codes = [_get(f"{stand.url}/health{page}")[0] for page in ("", "/ready", "/live")]

    assert [503, 503, 200] == codes


def test_what_is_not_there_is_404(stand: Stand) -> None:
    status, body = _get(f"{stand.url}/nosuch")

    assert (404, {"error": "there is no such page"}) == (status, json.loads(body))
    assert (200, "") == _get(f"{stand.url}/metrics", "HEAD")


def test_an_address_that_is_taken_is_an_error(stand: Stand) -> None:
    with pytest.raises(OSError, match="in use"):
        StatusServer(address(stand.url.removeprefix("http://")), {})


def test_addresses_may_be_ipv6() -> None:
    server = StatusServer(("::1", 0), pages(lambda: {"ready": True}, lambda: b""))
    server.start()

    assert 200 == _get(f"{server.url}/health")[0]
    server.stop()


def test_metrics_are_what_the_snapshot_says(stand: Stand) -> None:
    stand.samples = [
        Sample("scheduler_sessions", 3, ("default", "READY")),
        Sample("scheduler_late_writes", 2, ("default",)),
    ]

    found = _numbers(_get(f"{stand.url}/metrics")[1])

    assert 3 == found["scheduler_sessions", "default", "READY"]
    assert 2 == found["scheduler_late_writes_total", "default"]
    assert any(name[0] == "process_start_time_seconds" for name in found)


def _numbers(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_of_a_namespace_is_measured(world: World) -> None:
    world.into(S.RUNNING)
    ready = world.into(S.READY)
    late = world.leader
    now = world.lead()
    with pytest.raises(Deposed):
        late.apply([m.Tell("default", "agents.storm", "late")])
    now.apply([m.Count("default", Tally(cycles=4, placed=9, causes={"agents": 2}).as_fields())])
    store = open_store(load(namespace=world.keys.root), world.client)
    audit = AuditRepository(world.client, world.keys)

    world.groups.pause("default", "why")
    world.agents.drain("a1")
    world.leadership.note_turn("default", now.term.nonce, 18_000)
    world.client.hset(world.keys.session(ready), "submitted_at", audit.now_ms() - 20_000)
    world.client.hdel(world.keys.session(ready), "ready_at")

    samples = measure(store, audit, ["default"])
    found = {(s.name, *s.labels): s.value for s in samples}

    assert (4, 9, 2) == (
        found["scheduler_cycles", "default"],
        found["scheduler_placed", "default"],
        found["scheduler_refused", "default", "agents"],
    )
    assert set(CATALOGUE) == {sample.name for sample in samples}
    assert 1 == found["scheduler_sessions", "default", "RUNNING"]
    assert 0 == found["scheduler_sessions", "default", "FAILED"]
    assert 1 == found["scheduler_agents", "default", "ready"]
    assert 1 == found["scheduler_late_writes", "default"]
    assert 1 == found["scheduler_group_paused", "default"]
    assert 1 == found["scheduler_agents_drained", "default"]
    assert 18 <= found["scheduler_leader_hangs_seconds", "default"] < 60
    assert 20 <= found["scheduler_longest_ready_seconds", "default"] < 60
    assert 1 == found["scheduler_leads", "default"]
    assert found["scheduler_leader_term", "default"] > late.term.number
    assert int(world.events.last_id().split("-")[1]) == found["scheduler_events_seq",]


def test_every_sample_has_the_labels_of_the_catalogue(world: World) -> None:
    store = open_store(load(namespace=world.keys.root), world.client)
    samples = measure(store, AuditRepository(world.client, world.keys), [])

    assert [] == [s for s in samples if len(s.labels) != len(CATALOGUE[s.name].labels)]


def test_without_redis_only_that_is_measured() -> None:
    store = open_store(load(redis_url="redis://127.0.0.1:1/0"))

    samples = measure(store, AuditRepository(store.client, store.keys), [])

    assert [Sample("scheduler_redis_up", 0)] == samples
