"""A Redis at its maxmemory: nothing new comes in, and what runs can end, so that it drains."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from scheduler.domain import moves as m
from scheduler.domain.errors import RedisFull
from tests.unit.store.lives import FAR, GROUP, NOBODY, OTHER, S, World, contents, order_id

pytestmark = [
    pytest.mark.real,
    pytest.mark.parametrize("redis_client", ["redis-7", "embedded"], indirect=True),
]
Fill = Callable[[], None]


@pytest.fixture
def fill(redis_client: redis.Redis) -> Iterator[Fill]:
    """Call it, and Redis is full."""

    def fill() -> None:
        redis_client.config_set("maxmemory", 1)

    yield fill
    redis_client.config_set("maxmemory", 0)


def test_a_submit_is_refused_and_writes_nothing(world: World, fill: Fill) -> None:
    parent = world.submit()
    fill()
    before = contents(world.client)

    for asked in ({}, {"idempotency_key": "k"}, {"depends_on": [parent]}, {"not_before": FAR}):
        with pytest.raises(RedisFull):
            world.submit(**asked)

    assert before == contents(world.client)


def test_what_runs_can_end(world: World, fill: Fill) -> None:
    claimed, running = world.into(S.SCHEDULED), world.into(S.RUNNING)
    child = world.submit(depends_on=[running])
    fill()

    assert "ok" == world.mailbox().beat(world.boots["a1"], 60_000, claims=0, running=[]).word
    assert [order_id(world.get(claimed))] == world.take(claimed)
    world.mailbox().report([{"body": "{}", "mac": "0"}])
    assert "done" == world.claim(claimed)
    assert "done" == world.up(claimed)
    assert "done" == world.over(running, result='{"much": "' + "x" * 1000 + '"}')
    assert "done" == world.finish(running)
    assert "done" == world.resolve(running)
    assert "stopping" == world.stop(claimed, "timed_out")
    assert "done" == world.lose(claimed)
    assert "done" == world.finish(claimed, S.TIMED_OUT)
    assert S.READY is world.state(child)
    assert [running] == world.forget(S.SUCCEEDED, 2**45)


def test_what_waits_or_runs_can_be_cancelled(world: World, fill: Fill) -> None:
    waiting, running = world.submit(), world.into(S.RUNNING)
    fill()

    assert "cancelled" == world.sessions.cancel(waiting)
    assert "accepted" == world.sessions.cancel(running)


def test_a_leader_can_be_elected_and_an_agent_declared_lost(world: World, fill: Fill) -> None:
    fill()

    assert world.leadership.elect(GROUP, world.leader.term.nonce, "me", "1")
    world.leadership.publish_connection(GROUP, world.leader.term.nonce, "2")
    world.leadership.ask_resign(GROUP)
    world.agents.declare_lost("a1")
    world.agents.drain("a1")
    world.leadership.resign(world.leader.term, "full")


def test_an_agent_can_register_and_leave(world: World, fill: Fill) -> None:
    fill()

    assert "done" == world.admit("a2")
    assert ["done"] == world.apply(m.Mark("a2", world.boots["a2"], "left", ""))
    world.agents.remove("a2")


def test_a_log_is_refused(world: World, fill: Fill) -> None:
    fill()

    with pytest.raises(RedisFull):
        world.mailbox().log(f"{NOBODY}-0-{OTHER}", "stdout", "text", cap=100, ttl_s=60)
