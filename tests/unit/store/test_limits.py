"""Limits of scopes, exactly: what scripts refuse, what they count, and that both end at nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.domain.errors import InvalidSetting, PendingLimitReached
from scheduler.domain.scope import GLOBAL, OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.domain.spec import SessionSpec
from scheduler.store.submission import SUBMIT_BATCH
from tests.unit.store.lives import S, World, contents

USER, KEYPAIR = Scope("user", "u"), Scope("keypair", "k")
OF_USER: dict[str, Any] = {"scopes": {"user": "u"}}


def use(world: World, scope: Scope = USER) -> ScopeUse:
    """What a scope has, whatever it may."""
    return replace(world.scopes.read([scope])[scope], limits=ScopeLimits(), main=None)


# Slots


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (ScopeLimits(max_slots={"cpu": 4000}), "placed"),
        (ScopeLimits(max_slots={"cpu": 3999}), "limited"),
        (ScopeLimits(max_slots={"cpu": 100_000, "mem": 511}), "limited"),
        (ScopeLimits(max_slots={"cpu": 4000}, unspecified_slots=OtherSlots.ZERO), "limited"),
        (
            ScopeLimits(max_slots={"cpu": 4000, "mem": 512}, unspecified_slots=OtherSlots.ZERO),
            "placed",
        ),
        (ScopeLimits(unspecified_slots=OtherSlots.ZERO), "placed"),
        (ScopeLimits(max_slots={"cuda": 0}), "placed"),
    ],
)
def test_any_slot_over_its_limit_is_enough(world: World, limits: ScopeLimits, word: str) -> None:
    """K6: {cpu: 100000, mem: 511} must not let {cpu: 4000, mem: 512} pass because cpu fits."""
    world.scopes.limit(USER, limits)
    session = world.submit(cluster_size=2, slots={"cpu": "2", "mem": "256MiB"}, **OF_USER)

    assert word == world.place(session)


def test_what_is_held_counts_and_comes_back_with_the_end(world: World) -> None:
    """D3, K8."""
    world.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 3000}))
    first, second = (world.submit(slots={"cpu": "2"}, **OF_USER) for _ in range(2))
    assert "placed" == world.place(first)
    held = use(world)
    words = [world.place(second)]
    world.start(first)
    world.end(first)

    assert ScopeUse(sessions=1, slots={"cpu": 2000}, pending=1, pending_slots={"cpu": 2000}) == held
    assert ["limited", "placed"] == [*words, world.place(second)]


def test_devices_count_in_milli_of_their_family(world: World) -> None:
    capacity = {"cpu": 8000} | {f"cuda.{index}": 1000 for index in range(4)}
    world.admit("a1", capacity=capacity)
    world.scopes.limit(USER, ScopeLimits(max_slots={"cuda": 1500}))
    whole = world.submit(slots={"cuda.device": "1"}, **OF_USER)
    share, more = (world.submit(slots={"cuda.shares": "500"}, **OF_USER) for _ in range(2))
    on = {whole: "cuda.0", share: "cuda.1", more: "cuda.1"}

    def place(session: str) -> str:
        amount = world.get(session).request.families["cuda"]
        kernel = {"agent": "a1", "boot": world.boots["a1"], "order": "mac {}"}
        return world.place(session, kernels=[kernel | {"slots": {on[session]: amount}}])

    assert ["placed", "placed", "limited"] == [place(each) for each in (whole, share, more)]
    assert {"cuda": 1500} == use(world).slots


@pytest.mark.parametrize(
    "asked",
    [
        {"slots": {"cuda.device": "2"}, "cluster_size": 3},
        {"slots": {"cpu": "1", "cuda.shares": "250"}},
        {"kernels": [{"cpu": "1"}, {"mem": "1GiB", "cuda.device": "1", "rocm.shares": "1"}]},
    ],
)
def test_what_a_script_works_out_from_a_request_is_what_the_app_counted(
    world: World, asked: dict[str, Any]
) -> None:
    session = world.submit(**asked, **OF_USER)
    counted = use(world).pending_slots

    world.sessions.cancel(session)

    assert (world.get(session).request.families, ScopeUse()) == (counted, use(world))
    assert USER not in world.scopes.counting()


def test_a_batch_counts_what_its_own_placements_hold(world: World) -> None:
    world.scopes.limit(USER, ScopeLimits(max_sessions=3, max_slots={"cpu": 2500}))
    sessions = [world.submit(**OF_USER) for _ in range(5)]

    words = world.place_all(sessions)

    assert ["placed", "placed", "limited", "limited", "limited"] == words
    assert (2, {"cpu": 2000}) == (use(world).sessions, use(world).slots)


@pytest.mark.parametrize("way", ["withdrawn", "cancelled", "lost", "failed", "retrying"])
def test_however_a_placement_ends_nothing_is_left(world: World, way: str) -> None:
    """D3, K8: given back when it fails at any later step."""
    session = world.into(S.SCHEDULED if way in ("withdrawn", "cancelled") else S.RUNNING, **OF_USER)
    match way:
        case "withdrawn":
            assert "unplaced" == world.stop(session, "unplaced")
        case "cancelled":
            assert "cancelled" == world.stop(session, "cancelled")
        case "lost":
            world.lose(session)
            assert "done" == world.finish(session, S.READY, edge="rescue")
        case "failed":
            world.end(session, S.FAILED)
        case _:
            world.end(session, S.RETRYING)

    again = way in ("withdrawn", "lost", "retrying")
    waits = ScopeUse(pending=1, pending_slots={"cpu": 1000})
    assert (waits if again else ScopeUse()) == use(world)
    world.sessions.cancel(session)
    assert world.scopes.counting().isdisjoint((USER, GLOBAL))


def test_a_refused_placement_leaves_every_scope_as_it_was(world: World) -> None:
    """K8: all scopes of a session or none."""
    world.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 100}))
    session = world.submit(keypair="k", **OF_USER)
    before = contents(world.client)

    assert "limited" == world.place(session)
    assert before == contents(world.client)


def test_a_limit_lowered_under_what_runs_kills_nothing(world: World) -> None:
    running, waiting = world.into(S.RUNNING, **OF_USER), world.submit(**OF_USER)

    world.scopes.limit(USER, ScopeLimits(max_slots={"cpu": 0}, max_pending_sessions=0))

    assert (S.RUNNING, S.READY) == (world.state(running), world.state(waiting))
    assert "limited" == world.place(waiting)
    world.end(running)
    assert ScopeUse(pending=1, pending_slots={"cpu": 1000}) == use(world)


def test_a_users_slots_are_limited_by_the_main_keypair(world: World) -> None:
    """K6: the main keypair's limits, whatever keypair a session names; without any, nobody is admitted."""
    world.scopes.limit(USER, ScopeLimits(main_keypair="k"))
    first, second = (world.submit(slots={"cpu": "2"}, **OF_USER) for _ in range(2))
    without = world.place(first)
    world.scopes.limit(KEYPAIR, ScopeLimits(max_slots={"cpu": 2000}))

    assert ["limited", "placed", "limited"] == [without, world.place(first), world.place(second)]
    world.scopes.limit(KEYPAIR, ScopeLimits(max_sessions=0))
    assert "placed" == world.place(second)


def test_private_sessions_hold_one_scope_and_no_quota(world: World) -> None:
    """K7."""
    for scope in (GLOBAL, KEYPAIR, USER):
        world.scopes.limit(scope, ScopeLimits(0, {"cpu": 0}, OtherSlots.ZERO, 0, {"cpu": 0}))
    world.scopes.limit(Scope("private", "k"), ScopeLimits(1))
    first, second = (world.submit(keypair="k", private=True, **OF_USER) for _ in range(2))

    assert ["placed", "limited"] == [world.place(first), world.place(second)]
    assert [ScopeUse()] * 3 == [use(world, scope) for scope in (GLOBAL, KEYPAIR, USER)]


# What waits


def test_a_limit_of_one_that_waits_lets_one_wait_and_run(world: World) -> None:
    """The session itself is not counted against it."""
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=1))
    first = world.submit(**OF_USER)
    with pytest.raises(PendingLimitReached) as refusal:
        world.submit(**OF_USER)

    assert "placed" == world.place(first)
    assert S.READY is world.state(world.submit(**OF_USER))
    assert "You cannot create more than 1 pending session(s). (user u: 1 of 1 pending)." == str(
        refusal.value
    )


def test_what_waiting_sessions_ask_is_limited_by_slot(world: World) -> None:
    world.scopes.limit(USER, ScopeLimits(max_pending_slots={"cpu": 8000, "mem": 1024}))
    world.submit(slots={"cpu": "6", "mem": "1GiB"}, **OF_USER)

    with pytest.raises(PendingLimitReached) as refusal:
        world.submit(slots={"cpu": "4", "mem": "512MiB"}, **OF_USER)

    assert (
        "Your pending session quota is exceeded. (user u: cpu pending 6, requested 4, limit 8,"
        " over by 2; mem pending 1GiB, requested 512MiB, limit 1GiB, over by 512MiB)."
        == str(refusal.value)
    )
    assert ScopeUse(pending=1, pending_slots={"cpu": 6000, "mem": 1024}) == use(world)


def test_both_rules_are_told(world: World) -> None:
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=0, max_pending_slots={"cpu": 0}))

    with pytest.raises(
        PendingLimitReached, match=r"^You cannot create .*Your pending session quota"
    ):
        world.submit(**OF_USER)


def test_those_before_it_in_the_batch_count_and_a_refused_batch_writes_nothing(
    world: World,
) -> None:
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=2))
    spec = SessionSpec(callable="jobs:noop", **OF_USER)
    free = SessionSpec(callable="jobs:noop")
    before = contents(world.client)

    with pytest.raises(PendingLimitReached, match="2 of 2 pending"):
        world.sessions.submit([free, spec, spec, spec])

    assert before == contents(world.client)
    assert 3 == len(world.sessions.submit([free, spec, spec]))
    assert (2, 3) == (use(world).pending, use(world, GLOBAL).pending)


def test_a_repeat_of_a_known_key_is_never_refused(world: World) -> None:
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=1))
    first = world.submit(idempotency_key="once", **OF_USER)
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=0))

    assert first == world.submit(idempotency_key="once", **OF_USER)
    assert 1 == use(world).pending


def test_many_batches_are_counted_once_each(world: World) -> None:
    spec = SessionSpec(callable="jobs:noop", slots={"cpu": "500m"}, **OF_USER)

    world.sessions.submit([spec] * (2 * SUBMIT_BATCH + 1))

    assert (401, {"cpu": 200_500}) == (use(world).pending, use(world).pending_slots)


def test_running_again_is_waiting_again(world: World) -> None:
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=1))
    ended = world.into(S.FAILED, **OF_USER)
    waiting = world.submit(**OF_USER)
    before = contents(world.client)
    with pytest.raises(PendingLimitReached, match="1 of 1 pending"):
        world.sessions.retry(ended)
    assert before == contents(world.client)
    world.sessions.cancel(waiting)

    assert [ended] == world.sessions.retry(ended)
    assert 1 == use(world).pending


def test_dependents_that_may_not_wait_stay_cancelled_with_their_parent(world: World) -> None:
    parent = world.submit()
    children = [world.submit(depends_on=[parent], **OF_USER) for _ in range(2)]
    world.sessions.cancel(parent)
    world.resolve_all()
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=1))

    with pytest.raises(PendingLimitReached):
        world.sessions.retry(parent, with_dependents=1)

    states = sorted(world.state(child) for child in children)
    assert (S.READY, [S.CANCELLED, S.PENDING]) == (world.state(parent), states)
    assert 1 == world.client.scard(world.keys.cascaded(parent))
    assert 1 == use(world).pending


def test_what_the_scheduler_puts_back_waits_whatever_the_limit_is(world: World) -> None:
    """Only who comes from outside may be turned away."""
    session = world.into(S.SCHEDULED, **OF_USER)
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=0))

    assert "unplaced" == world.stop(session, "unplaced")
    assert (S.READY, 1) == (world.state(session), use(world).pending)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"kernels": 7}'])
def test_a_request_that_is_lost_or_spoilt_stops_no_script(world: World, text: str | None) -> None:
    session = world.submit(**OF_USER)
    key = world.keys.request(world.get(session).request.id)
    world.client.hdel(key, "text") if text is None else world.client.hset(key, "text", text)

    assert "done" == world.settle(session, "refuse")


# Setting them


@pytest.mark.parametrize(
    ("scope", "limits", "says"),
    [
        (USER, ScopeLimits(-1), "max_sessions: a limit is 0 or more, got -1"),
        (USER, ScopeLimits(max_slots={"cpu": -1}), "max_slots cpu: a limit is 0 or more"),
        (USER, ScopeLimits(max_pending_sessions=-7), "max_pending: a limit is 0 or more, got -7"),
        (USER, ScopeLimits(max_pending_slots={"mem": -1}), "max_pending_slots mem: a limit is 0"),
        (USER, ScopeLimits(2**53), "a limit is at most 9007199254740991, got 9007199254740992"),
        (USER, ScopeLimits(main_keypair="a\nb"), "no control characters"),
        (GLOBAL, ScopeLimits(main_keypair="k"), "only a user has one"),
        (Scope("private", "k"), ScopeLimits(max_slots={"cpu": 1}), "have one limit, max_sessions"),
    ],
)
def test_a_limit_that_makes_no_sense_is_one_sentence_and_nothing_is_written(
    world: World, scope: Scope, limits: ScopeLimits, says: str
) -> None:
    before = contents(world.client)

    with pytest.raises(InvalidSetting, match=says):
        world.scopes.limit(scope, limits)

    assert before == contents(world.client)


def test_limits_are_read_as_they_were_set_and_lifted_one_by_one(world: World) -> None:
    limits = ScopeLimits(1, {"cpu": 2}, OtherSlots.ZERO, 3, {"mem": 4}, "k")
    world.scopes.limit(USER, limits)
    assert limits == world.scopes.read([USER])[USER].limits

    world.scopes.limit(USER, replace(limits, max_slots={}, max_sessions=7), only=["max_slots"])

    assert replace(limits, max_slots={}) == world.scopes.read([USER])[USER].limits
    world.scopes.limit(USER, ScopeLimits())
    assert [GLOBAL] == world.scopes.known()


@pytest.mark.parametrize(
    "text",
    [
        "[broken",
        '"5"',
        '{"max_sessions":"many"}',
        '{"max_slots":"[broken"}',
        '{"max_slots":"{\\"cpu\\":\\"many\\"}"}',
    ],
)
def test_limits_that_are_spoilt_admit_nobody_until_they_are_set_anew(
    world: World, text: str
) -> None:
    """K8, K20: nor do they stop the leader, or hide other scopes."""
    key = world.keys.scope_limits()
    world.client.hset(key, mapping={str(USER): text, "strange": "{}"})
    refused, other = world.submit(**OF_USER), world.submit()

    assert ["limited", "placed"] == world.place_all([refused, other])

    assert ScopeLimits(max_sessions=0) == world.scopes.read([USER])[USER].limits
    assert ([USER], [GLOBAL, USER]) == (world.scopes.unreadable(), world.scopes.known())
    world.scopes.limit(USER, ScopeLimits())
    assert [] == world.scopes.unreadable()
    assert ["placed"] == world.place_all([refused])
