"""Many sessions at once: what is refused keeps all behind it from being written, nothing is written twice."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from scheduler.domain import moves as m
from scheduler.domain.errors import GroupNotFound, InvalidSpec, Unsatisfiable
from scheduler.domain.spec import SessionSpec
from scheduler.store.script import Script, Sent
from scheduler.store.submission import SUBMIT_BATCH
from tests.unit.store.lives import GROUP, S, World, contents


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


def test_what_stands_behind_a_refused_batch_is_not_written(world: World) -> None:
    nowhere = SessionSpec(callable="jobs:noop", group="nowhere")

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
