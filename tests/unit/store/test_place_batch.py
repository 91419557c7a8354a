"""Placements of one script share reads and writes; none of them may notice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.domain import moves as m
from scheduler.domain.errors import ScriptError
from scheduler.domain.ids import new_nonce
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.store.events import BEGINNING
from scheduler.store.keys import Keys
from tests.unit.store.lives import GROUP, OTHER, S, World, order_id

AGENTS = ("a1", "a2", "a3")
#: a1 has room for some, a2 for few, a3 is drained.
CAPACITY = {"a1": 6_000, "a2": 3_000, "a3": 9_000}


@st.composite
def asked(draw: st.DrawFn) -> list[tuple[int, list[tuple[str, int]]]]:
    """Placements: the number of a session, and agent and cpu of each kernel."""
    kernel = st.tuples(st.sampled_from(AGENTS), st.integers(1, 3).map(lambda n: n * 1_000))
    one = st.tuples(st.integers(0, 4), st.lists(kernel, min_size=1, max_size=3))
    return draw(st.lists(one, min_size=1, max_size=8))


def world_of(client: redis.Redis) -> World:
    world = World(client, Keys(f"t{uuid4().hex[:8]}"))
    for agent, cpu in CAPACITY.items():
        world.admit(agent, boot=f"{agent:0>32}", capacity={"cpu": cpu})
    world.agents.drain("a3")
    world.scopes.limit(GLOBAL, ScopeLimits(3))
    return world


def placement(
    world: World, session: str, nonce: str, kernels: Sequence[tuple[str, int]], **changes: Any
) -> m.Place:
    agents = " ".join(dict.fromkeys(agent for agent, _ in kernels))
    bound = [
        {"agent": agent, "boot": world.boots[agent], "slots": {"cpu": cpu}, "order": f"mac {nonce}"}
        for agent, cpu in kernels
    ]
    slots = {"cpu": sum(cpu for _, cpu in kernels)}
    held = json.dumps({"scopes": [["global", "global"]], "slots": slots})
    made = m.Place(session, nonce, agents, bound, held, 10_000)
    return replace(made, **changes)


def picture(world: World, sessions: Sequence[str], nonces: Sequence[str]) -> dict[str, Any]:
    """What a world holds, in words that two worlds can share: sessions and nonces by number."""
    names = {name: f"<{n}>" for n, name in enumerate((*sessions, *nonces))}

    def shared(value: Any) -> Any:
        if isinstance(value, dict):
            return {shared(k): shared(v) for k, v in value.items() if k not in ("at", "digest")}
        if isinstance(value, list | tuple | set):
            return sorted(map(shared, value), key=repr)
        text = str(value)
        for name, short in names.items():
            text = text.replace(name, short)
        return text

    c, keys = world.client, world.keys
    events = [event.fields for event in world.events.since(BEGINNING)]
    return {
        "records": shared(
            {s: dict(world.record(s), submitted_at="", placed_at="") for s in sessions}
        ),
        "agents": shared({a: c.hget(keys.record(a), "free:cpu") for a in AGENTS}),
        "orders": shared({a: c.hgetall(keys.orders(a)) for a in AGENTS}),
        # In the order in which they will run.
        "queues": [[shared(o) for o in c.lrange(keys.rq_queue(a), 0, -1)] for a in AGENTS],
        "indexes": shared(
            {s: c.zrange(keys.state(GROUP, s), 0, -1) for s in (S.READY, S.SCHEDULED)}
        ),
        "timers": shared(c.zrange(keys.timers(GROUP), 0, -1)),
        "members": shared(c.smembers(keys.scope_members("global", "global"))),
        "placed": [shared(e) for e in events if e.get("verb") == "place"],
    }


@pytest.mark.real
@pytest.mark.parametrize("redis_client", ["redis-7"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked())
def test_a_batch_does_what_its_placements_do_one_by_one(
    redis_client: redis.Redis, asked: list[tuple[int, list[tuple[str, int]]]]
) -> None:
    """K12, K14: sharing agents, limits and sessions, refused in between or not."""
    found = []
    nonces = [new_nonce() for _ in asked]
    for at_once in (True, False):
        world = world_of(redis_client)
        sessions = [world.submit() for _ in range(5)]
        moves = [
            placement(world, sessions[n], nonce, kernels)
            for (n, kernels), nonce in zip(asked, nonces, strict=True)
        ]
        words = world.commit(*moves) if at_once else [world.commit(move)[0] for move in moves]
        found.append((words, picture(world, sessions, nonces)))
        redis_client.delete(*redis_client.scan_iter(count=1000))

    assert found[1] == found[0]


def test_a_spoilt_key_harms_itself_and_nobody_else(world: World) -> None:
    """What is put off to the end is written all the same, and the failure is told."""
    world.admit("a2")
    first, second = world.submit(), world.submit()
    world.client.set(world.keys.rq_queue("a1"), "no list")

    with pytest.raises(ScriptError):
        world.commit(
            placement(world, first, new_nonce(), [("a1", 1_000)]),
            placement(world, second, new_nonce(), [("a2", 1_000)]),
        )

    assert [S.SCHEDULED] * 2 == [world.state(first), world.state(second)]
    assert {first, second} == set(world.client.zrange(world.keys.state(GROUP, S.SCHEDULED), 0, -1))
    assert [order_id(world.get(second))] == world.client.lrange(world.keys.rq_queue("a2"), 0, -1)
    assert world.take(first)
    numbers = [event.seq for event in world.events.since(BEGINNING)]
    assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers


def test_a_session_of_another_group_is_not_placed(world: World) -> None:
    world.groups.create("other", {})
    session = world.submit(group="other")

    assert ["stale"] == world.commit(placement(world, session, new_nonce(), [("a1", 1_000)]))
    assert S.READY is world.state(session)


def test_a_boot_that_is_not_the_admitted_one_takes_no_room_from_it(world: World) -> None:
    """Two boots of one agent in one batch are two agents, of which one is away."""
    first, second = world.submit(), world.submit()
    old = placement(world, first, new_nonce(), [("a1", 40_000)])
    old = replace(old, kernels=[{**old.kernels[0], "boot": OTHER}])
    new = placement(world, second, new_nonce(), [("a1", 40_000)])

    assert ["away", "placed"] == world.commit(old, new)


def test_a_large_payload_is_copied_whole(world: World) -> None:
    session = world.submit(args=["x" * 100_000])

    assert "placed" == world.place(session)

    [text] = world.client.hvals(world.keys.orders("a1"))
    assert str(text).endswith("\n" + str(world.client.get(world.keys.payload(session))))
