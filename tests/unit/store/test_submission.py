"""Many sessions at once: what is refused keeps all behind it from being written, nothing is written twice."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from scheduler.domain import moves as m
from scheduler.domain.errors import (
    DependencyNotFound,
    GroupNotFound,
    IdempotencyConflict,
    InvalidSpec,
    PendingLimitReached,
    RedisFull,
    SchedulerError,
    Unsatisfiable,
)
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.spec import SessionSpec
from scheduler.store import precheck
from scheduler.store.script import Script, Sent
from scheduler.store.submission import SUBMIT_BATCH
from tests.unit.store.lives import GROUP, NOBODY, S, World, contents


def specs(count: int, **asked: Any) -> list[SessionSpec]:
    """No-ops that are told apart by name."""
    return [SessionSpec(callable="jobs:noop", name=str(n), **asked) for n in range(count)]


def test_a_refused_batch_leaves_nothing_behind_not_even_a_key(world: World) -> None:
    """A key that named a session never written would answer it to every later submit."""
    world.apply(m.Reach(GROUP, '[{"cpu":1000}]', "", ""))
    good = SessionSpec(callable="jobs:noop", idempotency_key="k")
    before = contents(world.client)

    with pytest.raises(Unsatisfiable):
        world.sessions.submit([good, SessionSpec(callable="jobs:noop", slots={"cpu": "2"})])

    assert before == contents(world.client)
    [session] = world.sessions.submit([good])
    assert S.READY is world.state(session)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (ScopeLimits(max_pending_sessions=SUBMIT_BATCH + 1), "(user u: 201 of 201 pending)"),
        (
            ScopeLimits(max_pending_slots={"cpu": 1000 * (SUBMIT_BATCH + 1)}),
            "(user u: cpu pending 201, requested 1, limit 201, over by 1)",
        ),
    ],
)
def test_one_more_than_may_wait_in_a_later_batch_keeps_all_from_being_written(
    world: World, limits: ScopeLimits, says: str
) -> None:
    """K6."""
    world.scopes.limit(Scope("user", "u"), limits)
    before = contents(world.client)

    with pytest.raises(PendingLimitReached) as told:
        world.sessions.submit(specs(SUBMIT_BATCH + 2, scopes={"user": "u"}))

    assert says in str(told.value)
    assert before == contents(world.client)
    assert SUBMIT_BATCH + 1 == len(
        world.sessions.submit(specs(SUBMIT_BATCH + 1, scopes={"user": "u"}))
    )


def test_two_of_a_batch_with_one_key_are_one_session(world: World) -> None:
    spec = SessionSpec(callable="jobs:noop", idempotency_key="k")

    first, second = world.sessions.submit([spec, spec])

    assert first == second
    assert 1 == world.sessions.counts(GROUP)[S.READY]


def test_a_bad_spec_in_a_later_batch_keeps_all_from_being_written(world: World) -> None:
    bad = SessionSpec(callable="jobs:noop", args=[object()])
    before = contents(world.client)

    with pytest.raises(InvalidSpec):
        world.sessions.submit([*specs(SUBMIT_BATCH), bad])

    assert before == contents(world.client)


REFUSED: list[tuple[type[SchedulerError], dict[str, Any]]] = [
    (GroupNotFound, {"group": "nowhere"}),
    (Unsatisfiable, {"slots": {"cpu": "2"}}),
    (DependencyNotFound, {"depends_on": [NOBODY]}),
    (IdempotencyConflict, {"idempotency_key": "taken"}),
]


@pytest.mark.parametrize(("error", "asked"), REFUSED, ids=[kind.__name__ for kind, _ in REFUSED])
def test_what_a_later_batch_would_refuse_keeps_all_from_being_written(
    world: World, error: type[SchedulerError], asked: dict[str, Any]
) -> None:
    """K20: the same sentence as a call of that one alone, and nothing is written."""
    world.apply(m.Reach(GROUP, '[{"cpu":1000}]', "", ""))
    world.sessions.submit([SessionSpec(callable="jobs:other", idempotency_key="taken")])
    bad = SessionSpec(callable="jobs:noop", **asked)
    before = contents(world.client)

    with pytest.raises(error) as alone:
        world.sessions.submit([bad])
    with pytest.raises(error) as among:
        world.sessions.submit([*specs(SUBMIT_BATCH), bad, *specs(2 * SUBMIT_BATCH)])

    assert str(alone.value) == str(among.value)
    assert before == contents(world.client)


def test_a_redis_that_is_short_of_memory_refuses_all_of_a_large_call(world: World) -> None:
    world.apply(m.Reach(GROUP, "[]", "83", ""))
    before = contents(world.client)

    with pytest.raises(RedisFull, match="83 %"):
        world.sessions.submit(specs(SUBMIT_BATCH + 1))

    assert before == contents(world.client)


def test_a_group_that_grows_takes_what_nobody_has_yet(world: World) -> None:
    world.groups.configure(GROUP, {"grows": True})
    world.apply(m.Reach(GROUP, '[{"cpu":1000}]', "", ""))

    found = world.sessions.submit(specs(SUBMIT_BATCH + 1, slots={"cpu": "2"}))

    assert SUBMIT_BATCH + 1 == len(found)


def test_one_key_for_two_specs_of_a_large_call_writes_nothing(world: World) -> None:
    two = [SessionSpec(callable=f"jobs:{name}", idempotency_key="k") for name in ("one", "two")]
    before = contents(world.client)

    with pytest.raises(IdempotencyConflict, match="belongs to session number 201 of this call"):
        world.sessions.submit([*specs(SUBMIT_BATCH), *two])

    assert before == contents(world.client)


def test_a_repeat_of_a_large_call_answers_its_sessions_whatever_is_true_now(world: World) -> None:
    """Its parent is forgotten, its agent removed: they were accepted before, and are there."""
    parent = world.submit()
    asked = [
        SessionSpec(callable="jobs:noop", idempotency_key=str(n), depends_on=[parent])
        for n in range(SUBMIT_BATCH + 1)
    ]
    found = world.sessions.submit(asked)
    world.client.delete(world.keys.session(parent))
    world.apply(m.Reach(GROUP, '[{"cpu":1}]', "", ""))

    assert found == world.sessions.submit(asked)


def test_what_becomes_wrong_meanwhile_is_refused_with_its_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the write: what is ahead is written, nothing behind it is."""
    nowhere = SessionSpec(callable="jobs:noop", group="nowhere")
    monkeypatch.setattr(precheck, "refusal", lambda *_: None)

    with pytest.raises(GroupNotFound):
        world.sessions.submit([*specs(SUBMIT_BATCH), nowhere, *specs(2 * SUBMIT_BATCH)])

    assert SUBMIT_BATCH == world.sessions.counts(GROUP)[S.READY]


def test_many_batches_keep_their_order(world: World) -> None:
    found = world.sessions.submit(specs(2 * SUBMIT_BATCH + 1))

    data = world.sessions.many(found)
    assert [str(n) for n in range(2 * SUBMIT_BATCH + 1)] == [each.name for each in data]
    assert sorted(each.seq for each in data) == [each.seq for each in data]


@pytest.mark.parametrize("half", ["send", "answer"])
def test_a_connection_that_breaks_in_the_middle_writes_none_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """F4."""
    answer = Sent.answer

    def unsent(*_: Any) -> Sent:
        raise RedisConnectionError("refused")

    def lost(sent: Sent) -> list[Any]:
        answer(sent)
        raise RedisConnectionError("reset by peer")

    if half == "send":
        monkeypatch.setattr(Script, "send", unsent)
    else:
        monkeypatch.setattr(Sent, "answer", lost)

    found = world.sessions.submit(specs(SUBMIT_BATCH + 1))

    assert found == world.sessions.list_ids(GROUP, S.READY, limit=1000)
