"""A cheap look: it answers as a command would, or says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from scheduler.domain.ids import new_nonce
from scheduler.store.connection import connect
from scheduler.store.glance import Glance
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository

pytestmark = pytest.mark.real


@pytest.fixture
def client(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """A client of its own, whose connections a test may kill."""
    facts = redis_client.connection_pool.connection_kwargs
    url = f"unix://{facts['path']}" if "path" in facts else f"redis://127.0.0.1:{facts['port']}"
    found = connect(url)
    yield found
    found.close()


def test_it_answers_as_redis_does(client: redis.Redis, keys: Keys) -> None:
    glance, text, number = Glance(client), keys.group("text"), keys.group("number")
    client.set(text, "ä")

    assert ["ä", 1, None] == glance.at(("GET", text), ("EXISTS", text), ("GET", number))
    client.set(text, "b")
    assert ["b", 1, None] == glance.at(("GET", text), ("EXISTS", text), ("GET", number))
    assert [0] == glance.at(("EXISTS", number))
    glance.close()


def test_what_cannot_be_told_is_no_answer_and_shifts_none(client: redis.Redis, keys: Keys) -> None:
    """Neither where Redis refuses one of the commands, nor where the connection is gone."""
    glance, text, list_ = Glance(client), keys.group("text"), keys.group("list")
    client.set(text, "a")
    client.rpush(list_, "x")

    assert glance.at(("GET", list_), ("GET", text)) is None
    assert ["a"] == glance.at(("GET", text))
    glance.at(("CLIENT", "SETNAME", "looking"))
    [looking] = [found for found in client.client_list() if found["name"] == "looking"]
    client.client_kill_filter(_id=looking["id"])
    assert glance.at(("GET", text)) is None
    assert ["a"] == glance.at(("GET", text))
    client.connection_pool.disconnect()
    assert ["a"] == glance.at(("GET", text))
    glance.close()


def test_a_leader_leads_still_with_its_lock_and_its_connection(
    client: redis.Redis, keys: Keys
) -> None:
    nonce = new_nonce()
    leadership, name = LeadershipRepository(client, keys), f"scheduler-leader-{nonce}"
    client.client_setname(name)
    own = str(client.client_id())
    client.set(keys.lock("g"), nonce)

    assert leadership.leads_still("g", nonce, own, name)
    assert not leadership.leads_still("g", nonce, own, f"{name}2")
    assert not leadership.leads_still("g", new_nonce(), own, name)
    assert not leadership.leads_still("g", nonce, "9999999", name)
    client.delete(keys.lock("g"))
    assert not leadership.leads_still("g", nonce, own, name)
