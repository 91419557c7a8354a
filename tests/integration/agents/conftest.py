"""A real Redis, a real agent process, and a leader played by hand."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from scheduler.store.embedded import EmbeddedRedis
from tests.integration.agents.stage import AgentProcess, Leader, wait_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def leader(server: EmbeddedRedis) -> Iterator[Leader]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield Leader(client, f"t{secrets.token_hex(4)}")


@pytest.fixture
def agent(server: EmbeddedRedis, leader: Leader, tmp_path: Path) -> Iterator[AgentProcess]:
    process = AgentProcess(server.url, leader, tmp_path)
    yield process
    process.end()
    wait_for(lambda: not process.left(), "the agent's processes outlived it")
