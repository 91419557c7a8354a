"""A Redis, a world in it and a receiver for the tests of notifications."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from scheduler.store.connection import connect
from scheduler.store.embedded import FAKE, EmbeddedRedis, find_binary
from scheduler.store.keys import Keys
from tests.integration.notifications.receiver import Receiver
from tests.unit.store.lives import World


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    if find_binary() in (None, FAKE):
        pytest.skip("no redis-server is installed")
    started = EmbeddedRedis(tmp_path_factory.mktemp("redis"), options={"appendonly": "no"}).start()
    yield started
    started.kill()


@pytest.fixture
def world(server: EmbeddedRedis) -> Iterator[World]:
    client = connect(server.url)
    yield World(client, Keys(f"t{uuid4().hex[:8]}"))
    client.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
