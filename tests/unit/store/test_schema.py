"""The layout's version, and which Redis may hold the data."""

from __future__ import annotations

from typing import Any, cast

import fakeredis
import pytest
import redis

from scheduler.domain.errors import RedisUnsuitable, SchemaTooNew, StoreUnavailable
from scheduler.store import schema
from scheduler.store.connection import connect
from scheduler.store.keys import Keys
from scheduler.store.retrying import NEVER

real = [
    pytest.mark.real,
    pytest.mark.parametrize("redis_client", ["redis-7", "embedded"], indirect=True),
]


class Pretender:
    """A server that says of itself what a test wants."""

    def __init__(self, client: redis.Redis, **facts: object) -> None:
        self._client = client
        self._facts = facts

    def info(self) -> dict[str, object]:
        return self._facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def pretending(client: redis.Redis, **facts: object) -> redis.Redis:
    return cast("redis.Redis", Pretender(client, **facts))


def test_an_empty_namespace_is_stamped_once(redis_client: redis.Redis, keys: Keys) -> None:
    schema.prepare(redis_client, keys, events_cap=5000)
    stamped = redis_client.hgetall(keys.schema())
    schema.prepare(redis_client, keys, events_cap=6000)

    assert stamped == redis_client.hgetall(keys.schema())
    assert str(schema.VERSION) == redis_client.hget(keys.schema(), "version")
    assert "6000" == redis_client.hget(keys.counters(), "events_cap")


def test_data_of_a_newer_program_is_refused_by_replicas_and_apps(
    redis_client: redis.Redis, keys: Keys
) -> None:
    redis_client.hset(keys.schema(), "version", schema.VERSION + 1)

    with pytest.raises(
        SchemaTooNew, match=f"has layout {schema.VERSION + 1}, this program knows up to"
    ):
        schema.prepare(redis_client, keys, events_cap=5000)
    with pytest.raises(SchemaTooNew):
        schema.check_version(redis_client, keys)
    assert not redis_client.exists(keys.counters())


def test_apps_accept_an_empty_namespace_and_write_nothing(
    redis_client: redis.Redis, keys: Keys
) -> None:
    schema.check_version(redis_client, keys)

    assert not redis_client.exists(keys.schema())


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16", "3.2.1"])
def test_an_old_redis_is_refused(redis_client: redis.Redis, keys: Keys, version: str) -> None:
    with pytest.raises(RedisUnsuitable, match=f"it has version {version}, 6.2 or newer"):
        schema.prepare(pretending(redis_client, redis_version=version), keys, events_cap=1000)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.10.1", "255.255.255"])
def test_a_newer_redis_is_accepted(redis_client: redis.Redis, keys: Keys, version: str) -> None:
    schema.prepare(pretending(redis_client, redis_version=version), keys, events_cap=1000)

    assert redis_client.exists(keys.schema())


def test_a_redis_that_throws_keys_away_is_refused(redis_client: redis.Redis, keys: Keys) -> None:
    with pytest.raises(RedisUnsuitable, match="config set maxmemory-policy noeviction"):
        schema.prepare(
            pretending(redis_client, maxmemory_policy="allkeys-lru"), keys, events_cap=1000
        )


class TestARealServer:
    pytestmark = real

    def test_says_what_it_is(self, redis_client: redis.Redis) -> None:
        facts = schema.server_facts(redis_client)

        assert facts.version[0] in "678"
        assert "noeviction" == facts.eviction
        assert "none" == facts.persistence
        assert 0 < facts.used_memory
        assert (40, 40) == (len(facts.run_id), len(facts.replication_id))

    def test_says_how_it_persists(self, redis_client: redis.Redis) -> None:
        redis_client.config_set("save", "3600 1")
        assert "rdb" == schema.server_facts(redis_client).persistence

        redis_client.config_set("save", "")
        assert "none" == schema.server_facts(redis_client).persistence


def test_the_fake_says_nothing_of_itself() -> None:
    facts = schema.server_facts(fakeredis.FakeRedis(decode_responses=True))

    assert facts.eviction in ("", "noeviction")


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    client = connect("redis://127.0.0.1:1/0", policy=NEVER)

    with pytest.raises(
        StoreUnavailable, match=r"Redis at redis://127\.0\.0\.1:1/0 does not answer"
    ):
        schema.server_facts(client)
