"""What a hostile or unlucky caller may send: nothing is lost, rounded, half written or stuck."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import redis

from scheduler.domain import moves as m
from scheduler.domain.errors import InvalidInput, InvalidSpec
from scheduler.domain.position import Position
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.slots import LARGEST
from scheduler.domain.spec import SessionSpec
from scheduler.store.positions import PositionRepository
from tests.unit.store.lives import GROUP, NOBODY, OTHER, S, World, contents, order_id


def test_empty_arrays_are_lists(world: World) -> None:
    """Redis' cjson reads [] and {} alike and writes both as {}."""
    session = world.into(S.SCHEDULED)
    world.claim(session, agents=[])

    world.over(session)
    world.finish(session, S.RETRYING)

    assert () == world.get(session).history[0].agents
    assert [] == world.sessions.submit([])
    assert [] == world.apply()
    world.mailbox().report([])
    assert [] == world.mailbox().claim(world.boots["a1"], [], {"body": "", "mac": ""})


def test_an_agent_without_facts_is_admitted(world: World) -> None:
    assert "done" == world.admit("a2", fields=[], capacity={})
    assert ({}, {}) == (world.agents.get("a2").capacity, world.agents.get("a2").free)


def test_what_is_withdrawn_after_a_cancel_was_asked_for_does_not_wait_again(world: World) -> None:
    """K4: the cancel came while the leader was withdrawing an order that nobody had claimed."""
    session = world.into(S.SCHEDULED)
    assert "accepted" == world.sessions.cancel(session)

    assert "cancelled" == world.stop(session, "unplaced")
    assert S.CANCELLED is world.get(session).state


def test_a_session_of_a_thousand_kernels_lives_and_ends(world: World) -> None:
    world.admit("a1", capacity={"cpu": 1_000_000})
    session = world.submit(cluster_size=1000)
    assert "placed" == world.place(session)

    assert "unplaced" == world.stop(session, "unplaced")
    assert "placed" == world.place(session)
    assert "stopping" == world.stop(session, "failed")
    assert "done" == world.finish(session, S.FAILED)

    assert world.agents.get("a1").capacity == world.agents.get("a1").free
    assert 0 == world.client.hlen(world.keys.orders("a1"))
    assert [] == list(world.client.scan_iter("rq:job:*", count=1000))


@pytest.mark.parametrize("amount", [10**14, 10**15 + 1, LARGEST])
def test_slots_stay_exact_up_to_2_to_the_53(world: World, amount: int) -> None:
    world.admit("a1", capacity={"mem": LARGEST})
    session = world.submit(slots={"mem": str(amount)})
    assert "placed" == world.place(session)
    assert LARGEST - amount == world.agents.get("a1").free["mem"]
    assert {"mem": amount} == world.get(session).kernels[0].slots

    world.lose(session)

    assert LARGEST == world.agents.get("a1").free["mem"]
    assert "done" == world.admit("a1", capacity={"mem": LARGEST - 1})
    assert LARGEST - 1 == world.agents.get("a1").free["mem"]


def test_no_slot_is_sold_twice_within_one_placement(world: World) -> None:
    world.admit("a1", capacity={"cpu": 1999})
    before = contents(world.client)
    session = world.submit(cluster_size=2)
    after = contents(world.client)

    assert "full" == world.place(session)
    assert before != after
    assert after == contents(world.client)


@pytest.mark.parametrize("refused", ["limited", "away", "full"])
def test_a_refused_placement_takes_nothing(world: World, refused: str) -> None:
    """D3, K10: two agents, the second of which says no; the first gives nothing."""
    world.admit("a2", capacity={"cpu": 10})
    session = world.submit(cluster_size=2, keypair="k")
    if refused == "limited":
        world.scopes.limit(Scope("keypair", "k"), ScopeLimits(max_slots={"cpu": 1999}))
    if refused == "away":
        world.apply(m.Mark("a2", world.boots["a2"], "not-ready", ""))
    before = contents(world.client)

    assert refused == world.place(session, ("a1", "a2"))
    assert before == contents(world.client)


ODD = [
    "%d%s%%",
    "a b",
    "a:b:c",
    "ключ",
    "'\"\\",
    "{}",
    "🚀",
    "x" * 256,
    "-1",
    "*",
    "[a]",
    "@order@",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_go_through_unchanged(world: World, name: str) -> None:
    session = world.submit(
        keypair=name, name=name, idempotency_key=name, args=[name], callable="a:b"
    )
    assert session == world.submit(
        keypair=name, name=name, idempotency_key=name, args=[name], callable="a:b"
    )
    assert "placed" == world.place(session)
    data = world.get(session)

    assert (name, name) == (data.name, data.idempotency_key)
    assert {session} == world.scopes.members(Scope("keypair", name))
    assert [name] == world.sessions.payload(session)["args"]
    world.end_withdrawn(session)
    assert set() == world.scopes.members(Scope("keypair", name))
    world.forget(S.CANCELLED, 2**45)


@pytest.mark.parametrize("field", ["name", "keypair", "idempotency_key"])
def test_half_a_surrogate_is_no_name(world: World, field: str) -> None:
    """Redis would answer a decoding error of cjson, or Python one of its own."""
    with pytest.raises(InvalidInput):
        world.submit(**{field: "\ud800"})


def test_odd_payloads_stay_opaque(world: World) -> None:
    args = ["\ud800", "\x00", 2**70, 1e300, -0.0, {"a": []}, "@order@", "%1", "\n"]
    session = world.submit(args=args)
    world.place(session)

    order = world.mailbox().claim(
        world.boots["a1"], [order_id(world.get(session))], {"body": "", "mac": ""}
    )

    assert args == json.loads(order[0].text.partition("\n")[2])["args"]


def test_the_queue_goes_by_priority_then_by_submission(world: World) -> None:
    """J6."""
    low, high, middle, later = [world.submit(priority=p) for p in (0, 100, 50, 100)]

    assert [high, later, middle, low] == world.sessions.list_ids(GROUP, S.READY, limit=10)
    assert [high, later, middle, low] == [found for found, _ in world.leader.ready_page(None, 10)]
    stands = PositionRepository(world.client, world.keys).of(world.get(later))
    assert stands is not None
    assert (
        2,
        "2nd of 4 by priority and submission; the scheduler may try them in another order",
    ) == (
        stands.number,
        stands.says,
    )


def test_pages_of_the_queue_neither_skip_nor_repeat(world: World) -> None:
    expected = world.sessions.submit(
        [SessionSpec(callable="a:b", priority=i % 101) for i in range(50)]
    )
    seen: list[str] = []
    after = None
    while page := world.leader.ready_page(after, 7):
        seen += [session for session, _ in page]
        after = repr(page[-1][1])

    assert sorted(expected) == sorted(seen)


def test_times_beyond_1e14_ms_stay_exact(world: World) -> None:
    moment = datetime(8999, 1, 2, 3, 4, 5, 678000, UTC)
    session = world.submit(not_before=moment)
    expected = int(moment.timestamp() * 1000)

    assert 10**14 < expected
    assert expected == world.get(session).not_before
    assert expected == world.client.zscore(world.keys.timers(GROUP), session)


def test_the_longest_timeout_is_a_deadline_like_any_other(world: World) -> None:
    session = world.into(S.PREPARING)
    world.up(session, timer=2**52)

    assert (world.client.zscore(world.keys.timers(GROUP), session) or 0) > 2**52


def test_a_kernel_that_prints_cut_keeps_its_log(world: World) -> None:
    order = f"{NOBODY}-0-{OTHER}"
    for text in ("cut", "stdout", "full", "after"):
        assert world.mailbox().log(order, "stdout", text, cap=1000, ttl_s=60)


def test_a_boot_that_waited_hears_when_it_is_refused(world: World) -> None:
    world.apply(m.Answer("a1", GROUP, OTHER, "waiting", "the old boot's lease"))
    world.apply(m.Answer("a1", GROUP, OTHER, "refused", "another group"))

    answer = world.mailbox().beat(OTHER, 60_000, claims=0, running=[])

    assert ("refused", "another group") == (answer.word, answer.reason)


def test_a_boot_that_was_refused_may_wait_later(world: World) -> None:
    world.apply(m.Answer("a1", GROUP, OTHER, "refused", "no slots"))
    world.apply(m.Answer("a1", GROUP, OTHER, "waiting", "the old boot's lease"))

    assert "wait" == world.mailbox().beat(OTHER, 60_000, claims=0, running=[]).word


def test_an_agent_that_moves_to_another_group_leaves_the_old_one(world: World) -> None:
    world.groups.configure("g2", {})

    world.admit("a1", group="g2")

    assert ([], ["a1"]) == (world.agents.ids(GROUP), world.agents.ids("g2"))


def test_forgetting_never_touches_what_has_not_ended(world: World) -> None:
    sessions = [world.into(state) for state in (S.PENDING, S.READY, S.RUNNING, S.RETRYING)]
    for session in sessions:
        assert [] == world.forget(world.state(session), 2**45)

    assert 4 == len(world.sessions.many(sessions))


def test_forgetting_takes_all_that_belongs_to_a_session(world: World) -> None:
    before = contents(world.client)
    parent = world.into(S.SUCCEEDED, idempotency_key="k")
    child = world.submit(depends_on=[parent], args=[1])
    world.sessions.cancel(child)
    world.apply(m.Note(GROUP, world.get(child).request.id, "{}"))

    assert [parent] == world.forget(S.SUCCEEDED, 2**45)
    assert [child] == world.forget(S.CANCELLED, 2**45)

    streams = {
        world.keys.events(),
        world.keys.inbox(GROUP),
        world.keys.reports(GROUP),
        world.keys.counters(),
    }
    claims = {world.keys.claims("a1"), world.keys.rq_queue("a1")}
    left = set(contents(world.client))
    # What was used is its owner's, for as long as schedulers look back.
    used = {key for key in left if key.startswith(world.keys.use(GROUP, ""))}
    assert set(before) - streams == left - streams - claims - used


def test_a_cursor_goes_on_only_from_where_it_stands(world: World) -> None:
    session = world.into(S.READY)
    move = m.Settle(session, GROUP, "expire", "")
    world.client.xadd(world.keys.reports(GROUP), {"body": "{}", "mac": "0"}, id="8-0")

    assert ["already"] == world.apply(move, cursor=("7-0", "8-0"))
    assert ["done"] == world.apply(move, cursor=("0-0", "8-0"))
    assert ["already"] == world.apply(move, cursor=("0-0", "8-0"))
    assert "8-0" == world.leader.cursor()


def test_a_refused_spec_is_a_sentence_and_no_error_of_redis(world: World) -> None:
    with pytest.raises(InvalidSpec, match="at most 256 characters"):
        world.submit(name="x" * 257)


def test_a_script_that_is_not_loaded_yet_is_loaded(world: World) -> None:
    world.client.script_flush()

    assert S.READY is world.state(world.submit())


def test_pubsub_tells_the_end(world: World, redis_client: redis.Redis) -> None:
    session = world.into(S.RUNNING)
    with cast("Any", redis_client).pubsub() as channel:
        channel.subscribe(world.keys.done(session))
        channel.get_message(timeout=30.0)
        world.end(session)

        message = channel.get_message(timeout=30.0)

    assert message
    assert "SUCCEEDED" == message["data"]


def test_a_stop_that_forgets_a_kernel_does_not_end_the_session(world: World) -> None:
    """Else the kernel would hold its slots for ever, of a session that has ended."""
    session = world.into(S.SCHEDULED)

    assert "stopping" == world.stop(session, "cancelled", kernels=[])
    assert S.TERMINATING is world.state(session)
    assert "alive" == world.finish(session, S.CANCELLED)
    world.lose(session)
    assert "done" == world.finish(session, S.CANCELLED)
    assert world.agents.get("a1").capacity == world.agents.get("a1").free


def test_a_kernel_that_does_not_exist_is_gone(world: World) -> None:
    session = world.into(S.RUNNING)

    assert {"gone"} == {world.claim(session, 7), world.up(session, 7), world.over(session, 7)}
    assert "gone" == world.lose(session, 7)


def test_a_kernel_twice_in_one_stop_is_stopped_once(world: World) -> None:
    session = world.submit(cluster_size=2)
    world.place(session)
    kernels = [{"index": 0, "agent": "a1", "stop": "x"}] * 2

    world.stop(session, "failed", kernels=kernels)

    assert 64_000 - 1000 == world.agents.get("a1").free["cpu"]


@pytest.mark.parametrize("told", ["", "no time", "x fifo\n", "\n\n", "5"])
def test_an_order_that_makes_no_sense_is_none(world: World, told: str) -> None:
    session = world.submit()
    world.client.set(world.keys.positions(GROUP), told)
    world.client.hset(world.keys.session(session), "ready_at", "soon")

    assert Position(1, 1) == PositionRepository(world.client, world.keys).of(world.get(session))
