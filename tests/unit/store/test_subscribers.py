"""Subscribers as they are stored: a cursor that only moves forward, failures that end in a parking place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from scheduler.domain.errors import InvalidSetting, SubscriberExists, SubscriberNotFound
from scheduler.domain.subscriber import SubscriberData
from scheduler.store.keys import Keys
from scheduler.store.subscribers import Failed, SubscriberRepository
from tests.unit.store.lives import World, contents

FAILED = Failed("it said no", 60_000, 3)


@pytest.fixture
def subscribers(redis_client: redis.Redis, keys: Keys) -> SubscriberRepository:
    return SubscriberRepository(redis_client, keys)


def added(subscribers: SubscriberRepository, cursor: str = "7-1") -> SubscriberData:
    subscribers.add("ci", "webhook", {"url": "http://localhost"}, ["session.*"], cursor)
    return subscribers.get("ci")


def test_what_was_added_is_read(subscribers: SubscriberRepository) -> None:
    expected = SubscriberData(
        "ci", "webhook", {"url": "http://localhost"}, ("session.*",), cursor="7-1"
    )

    assert (expected, ["ci"]) == (added(subscribers), subscribers.names())


def test_adding_it_twice_changes_nothing_and_another_of_its_name_is_refused(
    subscribers: SubscriberRepository,
) -> None:
    added(subscribers)
    added(subscribers)

    with pytest.raises(SubscriberExists, match="exists with another kind"):
        subscribers.add("ci", "webhook", {}, ["session.*"], "7-1")


@pytest.mark.parametrize(
    ("name", "events", "says"),
    [
        ("a b", ["*"], "is no name"),
        ("ci", ["session.started"], "'session.started' names no event"),
        ("ci", [], "name at least one"),
    ],
)
def test_a_name_or_a_pattern_that_is_none_is_refused(
    world: World, subscribers: SubscriberRepository, name: str, events: list[str], says: str
) -> None:
    before = contents(world.client)

    with pytest.raises(InvalidSetting, match=says):
        subscribers.add(name, "webhook", {}, events, "0-0")

    assert before == contents(world.client)


def test_of_two_that_delivered_one_event_one_counts_it(subscribers: SubscriberRepository) -> None:
    """K12."""
    seen = added(subscribers)

    assert [True, False] == [subscribers.advance(seen, "7-2", delivered=1) for _ in range(2)]
    assert ("7-2", 1) == ((now := subscribers.get("ci")).cursor, now.delivered)


def test_failures_in_a_row_park_it_and_a_success_forgets_them(
    subscribers: SubscriberRepository,
) -> None:
    """K12: retried, counted, then parked."""
    seen = added(subscribers)
    first = [subscribers.fail(subscribers.get("ci"), FAILED) for _ in range(2)]
    failing = subscribers.get("ci")
    subscribers.advance(seen, "7-2", delivered=1)
    later = subscribers.get("ci")

    assert (["again"] * 2, 2, "it said no") == (first, failing.failures, failing.error)
    assert 55 < subscribers.due_in_s(failing) <= 60
    assert (0, 2, "", 0.0) == (
        later.failures,
        later.failed,
        later.error,
        subscribers.due_in_s(later),
    )
    assert ["again", "again", "parked", "parked"] == [
        subscribers.fail(subscribers.get("ci"), FAILED) for _ in range(4)
    ]
    assert (True, 5) == ((now := subscribers.get("ci")).parked, now.failed)


def test_parking_and_resuming_are_told_as_events(
    world: World, subscribers: SubscriberRepository
) -> None:
    subscribers.fail(added(subscribers), replace(FAILED, limit=0))

    assert ["resumed", "running"] == [subscribers.resume("ci") for _ in range(2)]
    assert ["subscriber.parked", "subscriber.resumed"] == [
        event.name for event in world.events.newest(2)
    ]
    assert ("7-1", False, 0) == (
        (now := subscribers.get("ci")).cursor,
        now.parked,
        now.failures,
    )


def test_resuming_may_pass_over_what_it_could_not_take(subscribers: SubscriberRepository) -> None:
    subscribers.fail(added(subscribers), FAILED)

    subscribers.resume("ci", "7-9")

    assert "7-9" == subscribers.get("ci").cursor


def test_what_moved_or_is_gone_is_not_failed_again(subscribers: SubscriberRepository) -> None:
    seen = added(subscribers)
    subscribers.advance(seen, "7-2", delivered=1)
    moved = subscribers.fail(seen, FAILED)
    subscribers.fail(subscribers.get("ci"), FAILED)
    assert "moved" == subscribers.fail(replace(seen, cursor="7-2"), FAILED), "counted twice"
    subscribers.remove("ci")

    assert ("moved", "gone", False, []) == (
        moved,
        subscribers.fail(seen, FAILED),
        subscribers.advance(seen, "7-3"),
        subscribers.many(["ci"]),
    )
    for ask in (subscribers.get, subscribers.remove, subscribers.resume):
        with pytest.raises(SubscriberNotFound, match="'ci' does not exist"):
            ask("ci")
