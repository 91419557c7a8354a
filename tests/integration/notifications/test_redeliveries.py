"""A receiver that was down for a day gets its events and callbacks without an operator, each once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from scheduler.domain.retry import RetryPolicy
from scheduler.notifications.callbacks import CallbackParts, CallbackRules, Callbacks
from scheduler.notifications.delivery import Delivery, DeliveryParts
from scheduler.notifications.redeliveries import RedeliveryRules, redeliver
from scheduler.store.callbacks import CallbackRepository
from scheduler.testing.waiting import wait_until
from tests.integration.notifications.receiver import Receiver
from tests.unit.store.lives import World

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests"
DOWN = [503] * 1_000
NOW_AND_THEN = RedeliveryRules(every_ms=0)
QUICK = RetryPolicy(initial_ms=1, maximum_ms=1)


@pytest.fixture
def outbox(world: World) -> CallbackRepository:
    return CallbackRepository(world.client, world.keys)


@pytest.fixture
def delivery(world: World) -> Delivery:
    return Delivery(
        "ci", DeliveryParts(world.client, world.keys, SECRET, backoff=QUICK, max_failures=3)
    )


def until(run_once: Callable[[], object], done: Callable[[], object], saying: str) -> None:
    def look() -> bool:
        run_once()
        return bool(done())

    wait_until(look, within=20, saying=saying)


def park(world: World, delivery: Delivery, receiver: Receiver, answers: list[int]) -> None:
    """A subscriber fails until it is parked."""
    opts = {"url": receiver.url}
    world.subscribers.add("ci", "webhook", opts, ["session.*"], world.events.last_id())
    receiver.answers = list(answers)
    world.submit()
    world.submit()
    until(delivery.run_once, lambda: world.subscribers.get("ci").parked, "it was not parked")


def names(world: World) -> list[str]:
    return [event.name for event in world.events.since("0-0", limit=1_000)]


def test_a_subscriber_that_is_back_gets_what_it_missed_and_once(
    world: World, outbox: CallbackRepository, delivery: Delivery, receiver: Receiver
) -> None:
    """J12."""
    park(world, delivery, receiver, DOWN)
    asked = receiver.asked

    def chance(rules: RedeliveryRules = NOW_AND_THEN) -> str:
        return redeliver(world.subscribers, outbox, rules)

    assert "0 of 1 parked subscribers" in chance(RedeliveryRules())
    assert "1 of 1 parked subscribers" in chance()
    assert "0 of 0 parked subscribers" in chance(), "one that was doubled changes nothing"
    until(delivery.run_once, lambda: world.subscribers.get("ci").parked, "it was not parked again")
    assert asked + 1 == receiver.asked, "a chance is one try"
    assert 1 == names(world).count("subscriber.parked"), "an outage is told once"
    assert 1 == world.subscribers.get("ci").chances

    receiver.answers = []
    chance()
    until(delivery.run_once, lambda: len(receiver.got) == 2, "it got nothing")
    chance()
    delivery.run_once()
    ids = [headers["webhook-id"] for headers in receiver.headers]
    assert (2, 2) == (len(ids), len(set(ids)))
    assert 1 == names(world).count("subscriber.resumed")
    found = world.subscribers.get("ci")
    assert (None, 0, 0) == (found.down_since, found.chances, found.failures)


@pytest.mark.parametrize("why", ["gone for good", "too long ago"])
def test_a_subscriber_that_is_given_up_waits_for_an_operator(
    world: World, outbox: CallbackRepository, delivery: Delivery, receiver: Receiver, why: str
) -> None:
    park(world, delivery, receiver, [410] if why == "gone for good" else DOWN)
    if why == "too long ago":
        long_ago = world.sessions.redis_time_ms() - NOW_AND_THEN.within_ms - 1
        world.client.hset(world.keys.subscriber("ci"), "down_since", long_ago)

    assert "0 of 1 parked subscribers" in redeliver(world.subscribers, outbox, NOW_AND_THEN)
    world.subscribers.resume("ci")
    receiver.answers = []
    until(delivery.run_once, lambda: len(receiver.got) == 2, "it got nothing")


def test_callbacks_that_were_given_up_are_posted_when_their_host_is_back(
    world: World, outbox: CallbackRepository, receiver: Receiver
) -> None:
    """J13: one is tried, and when it was taken, the others are."""
    sessions = [world.submit(callback=receiver.url) for _ in range(5)]
    for session in sessions:
        world.sessions.cancel(session)
    rules = CallbackRules(backoff=QUICK, patience_ms=1, budget_s=10.0)
    parts = CallbackParts(world.client, world.keys, SECRET, rules)
    receiver.answers = list(DOWN)

    def chance() -> str:
        return redeliver(world.subscribers, outbox, NOW_AND_THEN).partition(" and ")[2]

    with closing(Callbacks(parts)) as callbacks:
        until(callbacks.run_once, lambda: outbox.counts() == (0, 5), "they were not given up")
        asked = receiver.asked
        assert chance().startswith("1 of 5 parked callbacks")
        until(callbacks.run_once, lambda: outbox.counts() == (0, 5), "it was not given up again")
        assert asked + 1 == receiver.asked
        assert 5 == names(world).count("callback.parked")

        receiver.answers = []
        assert chance().startswith("1 of 5")
        until(callbacks.run_once, lambda: outbox.counts() == (0, 4), "it was not taken")
        assert chance().startswith("4 of 4")
        assert chance().startswith("0 of 0"), "one that was doubled changes nothing"
        until(callbacks.run_once, lambda: outbox.counts() == (0, 0), "they were not taken")
        callbacks.run_once()

    assert sorted(sessions) == sorted(got["data"]["id"] for got in receiver.got)
    assert all(world.get(session).callback_told.startswith("delivered") for session in sessions)


def test_a_callback_that_was_refused_for_good_is_not_posted_again(
    world: World, outbox: CallbackRepository, receiver: Receiver
) -> None:
    world.sessions.cancel(world.submit(callback=receiver.url))
    receiver.answers = [410]
    parts = CallbackParts(world.client, world.keys, SECRET)

    with closing(Callbacks(parts)) as callbacks:
        until(callbacks.run_once, lambda: outbox.counts() == (0, 1), "it was not given up")
        chance = redeliver(world.subscribers, outbox, NOW_AND_THEN)
        callbacks.run_once()

    assert (1, "0 of 1 parked callbacks given another chance") == (
        receiver.asked,
        chance.partition(" and ")[2],
    )
