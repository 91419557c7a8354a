"""The world of the store's tests."""

from __future__ import annotations

import pytest
import redis

from scheduler.store.keys import Keys
from scheduler.store.script import Script, Sent
from tests.unit.store.lives import Recorder, World


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What scripts are called with, and what they answer."""
    recording = Recorder()
    monkeypatch.setattr(Script, "run", recording.wrap(Script.run))
    monkeypatch.setattr(Sent, "answer", recording.wrap_answer(Sent.answer))
    return recording


@pytest.fixture
def redis_client(each_redis: redis.Redis) -> redis.Redis:
    """Each server in turn."""
    return each_redis


@pytest.fixture
def world(redis_client: redis.Redis, keys: Keys) -> World:
    """A namespace with a group and a leader."""
    return World(redis_client, keys)
