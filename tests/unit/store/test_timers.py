"""Deadlines that move, as the scripts write them."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from scheduler.domain.errors import BadMessage
from scheduler.domain.moves import Kill, Timer
from scheduler.domain.states import SessionState
from scheduler.operations.policy import change_group, roll_back_group
from scheduler.protocol import order as orders
from scheduler.protocol.order import DeadlineOrder
from scheduler.store.timeouts import TimeoutRepository
from tests.unit.store.lives import GROUP, OTHER, S, World, order_id

KEY = "ab" * 32


def move(world: World, session: str, timeout: int = 60_000) -> str:
    data = world.get(session)
    told = DeadlineOrder(
        agent="a1", boot=world.boots["a1"], order=order_id(data), timeout_ms=timeout
    )
    kernels = [{"index": 0, "agent": "a1", "text": orders.encode(told, KEY)}]
    return world.apply(Timer(session, data.placement, timeout, 2_000, kernels))[0]


def standing(world: World) -> Any:
    return world.client.hgetall(world.keys.stops("a1"))


@pytest.mark.parametrize("state", [S.SCHEDULED, S.PREPARING, S.RUNNING], ids=str)
def test_a_deadline_moves_where_the_session_stands(world: World, state: SessionState) -> None:
    """J4: only what runs has a timer for it; the agent is told in any case."""
    session = world.into(state)
    before = world.client.zscore(world.keys.timers(GROUP), session)

    assert "done" == move(world, session)

    data, after = world.get(session), world.client.zscore(world.keys.timers(GROUP), session)
    assert after == (data.running_at + 62_000 if data.running_at else before)
    assert [order_id(data)] == list(standing(world))
    for row in data.history:
        assert row.deadline == row.started_at + 60_000


def test_nothing_is_left_on_the_agents_keys(world: World) -> None:
    """J4: whether its order was withdrawn, or it ended."""
    withdrawn, ended = world.into(S.SCHEDULED), world.into(S.RUNNING)
    move(world, withdrawn)
    move(world, ended)
    assert 2 == len(standing(world))

    world.stop(withdrawn, "unplaced")
    world.kernels_over(ended)

    assert {} == standing(world)


def test_a_stray_kernel_is_killed_whatever_deadline_it_was_given(world: World) -> None:
    """J4: another deadline stands where stops do, and is none."""
    session = world.into(S.RUNNING)
    move(world, session)
    order = order_id(world.get(session))

    words = [world.apply(Kill("a1", order, 'mac {"kind":"stop"}'))[0] for _ in range(2)]

    assert ["done", "already"] == words
    assert {order: 'mac {"kind":"stop"}'} == standing(world)


def test_what_an_agent_is_told_is_signed_and_for_its_boot(world: World) -> None:
    """J4, J10: what is not from the leader changes nothing."""
    session = world.into(S.RUNNING)
    move(world, session)
    (text,) = standing(world).values()

    found, payload = orders.decode(text, KEY, agent="a1", boot=world.boots["a1"])

    assert isinstance(found, DeadlineOrder)
    assert (60_000, {}) == (found.timeout_ms, payload)
    assert "deadline" == json.loads(text.partition(" ")[2])["kind"]
    with pytest.raises(BadMessage):
        orders.decode(text, KEY, agent="a1", boot=OTHER)
    with pytest.raises(BadMessage):
        orders.decode(text.replace("60000", "90000"), KEY, agent="a1", boot=world.boots["a1"])


def test_another_pending_timeout_holds_for_those_that_wait_already(world: World) -> None:
    parent = world.submit()
    ready, child, later = world.submit(), world.submit(depends_on=[parent]), world.into(S.PENDING)
    running = world.into(S.RUNNING)
    timers = world.keys.timers(GROUP)

    def due() -> dict[Any, Any]:
        return dict(cast("Any", world.client.zrange(timers, 0, -1, withscores=True)))

    before = due()
    assert {later, running} == before.keys()

    change_group(world.groups, GROUP, {"pending_timeout_ms": 60_000})
    waiting = {each: world.get(each).submitted_at + 60_000 for each in (parent, ready, child)}
    assert before | waiting == due()
    looked_at = TimeoutRepository(world.client, world.keys).looked_at
    assert (waiting[ready], None) == (looked_at(GROUP, ready), looked_at(GROUP, "nobody"))

    change_group(world.groups, GROUP, {"pending_timeout_ms": 5_000})
    assert before | {each: at - 55_000 for each, at in waiting.items()} == due()

    roll_back_group(world.groups, GROUP, 1)
    assert before == due()


def test_a_pending_timeout_counts_from_when_a_session_began_to_wait_this_time(world: World) -> None:
    """Not from its age: it may have run for hours before its agent was lost, or it was asked for again."""
    rescued, again = world.into(S.RUNNING), world.into(S.FAILED)
    for session in (rescued, again):
        world.client.hset(world.keys.session(session), "submitted_at", 1_000)
    world.lose(rescued)
    world.finish(rescued, S.READY, edge="rescue")
    world.sessions.retry(again)

    change_group(world.groups, GROUP, {"pending_timeout_ms": 60_000})

    now = world.leader.now_ms()
    for session in (rescued, again):
        assert S.READY is world.get(session).state
        assert now < (world.client.zscore(world.keys.timers(GROUP), session) or 0) <= now + 60_000


def test_all_pages_of_those_that_wait_are_retimed(world: World) -> None:
    sessions = {world.submit(not_before=None) for _ in range(450)}

    change_group(world.groups, GROUP, {"pending_timeout_ms": 60_000})

    assert sessions == set(cast("Any", world.client.zrange(world.keys.timers(GROUP), 0, -1)))
