"""Since when a session waits, as ageing counts it: from being ready, and not anew where its turn was lost."""

from __future__ import annotations

from scheduler.store.waiting import Waiting
from tests.unit.store.lives import S, World

LONG_AGO = 1_000


def waiting(world: World, session: str) -> Waiting:
    [found] = world.leader.waiting([session])
    return found


def submitted_long_ago(world: World, session: str) -> str:
    world.client.hset(world.keys.session(session), "submitted_at", str(LONG_AGO))
    return session


def test_a_session_waits_since_it_was_submitted(world: World) -> None:
    """K2."""
    session = world.submit()

    assert world.get(session).submitted_at == waiting(world, session).waiting_since


def test_one_that_waited_for_its_start_time_waits_since_that_came(world: World) -> None:
    session = submitted_long_ago(world, world.into(S.PENDING))
    world.reach_start_time(session)
    world.settle(session, "release")

    assert LONG_AGO < waiting(world, session).waiting_since <= world.leader.now_ms()


def test_one_that_is_tried_again_waits_since_its_backoff_was_over(world: World) -> None:
    session = submitted_long_ago(world, world.into(S.RETRYING))
    world.settle(session, "requeue")

    assert LONG_AGO < waiting(world, session).waiting_since


def test_one_that_an_operator_asks_for_again_waits_since_then(world: World) -> None:
    session = submitted_long_ago(world, world.into(S.FAILED))
    world.sessions.retry(session)

    assert LONG_AGO < waiting(world, session).waiting_since


def test_one_whose_order_nobody_claimed_keeps_its_place(world: World) -> None:
    session = submitted_long_ago(world, world.into(S.SCHEDULED))
    assert "unplaced" == world.stop(session, "unplaced")

    assert LONG_AGO == waiting(world, session).waiting_since


def test_one_whose_agent_was_lost_keeps_its_place(world: World) -> None:
    session = submitted_long_ago(world, world.into(S.RUNNING))
    world.lose(session)
    assert "done" == world.finish(session, S.READY, edge="rescue")

    assert LONG_AGO == waiting(world, session).waiting_since
