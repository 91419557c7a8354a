"""A real Redis for these tests, a namespace for each."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from scheduler.store.embedded import FAKE, EmbeddedRedis, find_binary
from tests.integration.leader.world import Cluster


@pytest.fixture(scope="session")
def leader_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One server, without a disk."""
    if find_binary() in (None, FAKE):
        pytest.skip("no redis-server is installed")
    server = EmbeddedRedis(tmp_path_factory.mktemp("leader"), options={"appendonly": "no"}).start()
    yield server
    server.kill()


@pytest.fixture
def cluster(leader_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """An empty cluster, whose leaders look at beats and at Redis five times a second."""
    monkeypatch.setattr("scheduler.leader.reign._BEATS_EVERY_S", 0.2)
    monkeypatch.setattr("scheduler.leader.reign._SERVER_EVERY_S", 0.2)
    made = Cluster(leader_redis.url, f"t{uuid4().hex[:8]}")
    yield made
    made.close()
