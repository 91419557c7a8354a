"""One agent for all tests of a file: it must not matter what ran on it before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from scheduler.store.embedded import EmbeddedRedis
from tests.integration.agents.stage import AgentProcess, Leader


@pytest.fixture(scope="module")
def leader(server: EmbeddedRedis, request: pytest.FixtureRequest) -> Iterator[Leader]:
    """In a namespace of the file's own."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield Leader(client, request.path.stem.removeprefix("test_"))


@pytest.fixture(scope="module", autouse=True)
def agent(
    server: EmbeddedRedis, leader: Leader, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentProcess]:
    process = AgentProcess(server.url, leader, tmp_path_factory.mktemp("agent")).admitted()
    yield process
    process.end()
