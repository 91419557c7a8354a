"""Events reach a receiver over real HTTP: signed, in order, again after a failure, and never in the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook

from scheduler.domain.events import Event
from scheduler.domain.retry import RetryPolicy
from scheduler.notifications import delivery as delivery_module
from scheduler.notifications.deliveries import Deliveries
from scheduler.notifications.delivery import Delivery, DeliveryParts
from scheduler.plugins.subscribers import AbstractSubscriber, SubscriberContext
from scheduler.protocol.signing import subscriber_key
from scheduler.store.connection import connect
from scheduler.store.embedded import EmbeddedRedis
from scheduler.testing.waiting import wait_until
from tests.integration.notifications.receiver import Receiver
from tests.unit.store.lives import S, World

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests"


@pytest.fixture
def parts(world: World) -> DeliveryParts:
    return DeliveryParts(world.client, world.keys, SECRET, backoff=RetryPolicy(initial_ms=1))


def subscribe(world: World, url: str, *events: str) -> None:
    world.subscribers.add("ci", "webhook", {"url": url}, events or ["*"], world.events.last_id())


def until(delivery: Delivery, done: Callable[[], bool], saying: str) -> None:
    def look() -> bool:
        delivery.run_once()
        return done()

    wait_until(look, within=20, saying=saying)


def test_events_are_posted_in_order_and_signed(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    """K12, J13."""
    subscribe(world, receiver.url, "session.scheduled", "session.cancelled")
    scheduled = world.into(S.SCHEDULED)
    cancelled = world.submit()
    world.sessions.cancel(cancelled, "not wanted any more")

    until(Delivery("ci", parts), lambda: len(receiver.got) == 2, "two events were not posted")

    assert [("session.scheduled", scheduled), ("session.cancelled", cancelled)] == [
        (event["type"], event["data"]["session"]) for event in receiver.got
    ]
    key = subscriber_key(SECRET, world.keys.root, "ci")
    assert receiver.got[0] == Webhook(bytes.fromhex(key)).verify(
        receiver.bodies[0], receiver.headers[0]
    )
    now = world.subscribers.get("ci")
    assert (world.events.last_id(), 2, 0) == (now.cursor, now.delivered, now.failed)


def test_what_was_not_taken_is_posted_again_and_nothing_overtakes_it(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    subscribe(world, receiver.url, "session.*")
    receiver.answers += [500, 302]
    world.sessions.cancel(world.submit())

    until(Delivery("ci", parts), lambda: len(receiver.got) == 2, "it was not posted again")

    assert ["session.ready", "session.cancelled"] == receiver.names()
    assert (2, 0, 2) == (
        (now := world.subscribers.get("ci")).failed,
        now.failures,
        now.delivered,
    )


def test_a_receiver_that_is_not_there_is_parked_and_resumed_where_it_was(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    subscribe(world, "http://127.0.0.1:9/nobody", "session.*")
    world.submit()
    delivery = Delivery("ci", replace(parts, max_failures=3))

    until(delivery, lambda: world.subscribers.get("ci").parked, "it was never parked")

    assert (3, "ConnectError") == (
        (now := world.subscribers.get("ci")).failed,
        now.error.partition(":")[0],
    )
    assert delivery.run_once() > 0, "a parked subscriber is not asked again"
    world.client.hset(world.keys.subscriber("ci"), "opts", json.dumps({"url": receiver.url}))
    delivery.close()
    world.subscribers.resume("ci")
    until(delivery, lambda: receiver.names() == ["session.ready"], "it did not go on")


def test_one_that_is_added_again_with_another_address_gets_what_comes_there(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    """Removed and added between two looks of the replica that delivers."""
    other, delivery = Receiver(), Delivery("ci", parts)
    subscribe(world, receiver.url, "session.ready")
    world.submit()
    until(delivery, lambda: len(receiver.got) == 1, "the first address got nothing")
    world.subscribers.remove("ci")
    subscribe(world, other.url, "session.ready")
    world.submit()

    until(delivery, lambda: len(other.got) == 1, "the new address got nothing")

    assert 1 == len(receiver.got)
    other.close()


def test_one_that_says_410_is_parked_at_once(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    subscribe(world, receiver.url, "session.*")
    receiver.answers.append(410)
    world.submit()

    until(Delivery("ci", parts), lambda: world.subscribers.get("ci").parked, "it was not parked")

    assert 1 == world.subscribers.get("ci").failed


class Hanging(AbstractSubscriber):
    """Hangs in its first delivery until it is let go."""

    name = "hanging"
    free = threading.Event()
    entered = 0

    def deliver(self, event: Event) -> None:  # noqa: ARG002 - whatever it is
        type(self).entered += 1
        self.free.wait(30)


def test_one_that_hangs_is_counted_and_entered_once(
    world: World, parts: DeliveryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K12: a subscriber that hangs never holds up anything but itself."""

    def load(_: str, opts: Any, context: SubscriberContext) -> AbstractSubscriber:
        return Hanging(opts, context)

    monkeypatch.setattr(delivery_module, "load_subscriber", load)
    world.subscribers.add("slow", "hanging", {}, ["*"], world.events.last_id())
    world.submit()
    delivery = Delivery("slow", replace(parts, budget_s=0.05, max_failures=3))
    until(delivery, lambda: world.subscribers.get("slow").parked, "it was not parked")

    assert 1 == Hanging.entered
    assert "still hangs" in world.subscribers.get("slow").error
    Hanging.free.set()


def test_of_two_replicas_one_delivers_and_the_other_goes_on_when_it_stops(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    """D1."""
    subscribe(world, receiver.url, "session.ready")
    first, second = Delivery("ci", parts), Delivery("ci", parts)
    world.submit()
    until(first, lambda: len(receiver.got) == 1, "the first did not deliver")

    world.submit()
    second.run_once()
    assert 1 == len(receiver.got), "the second delivered beside the first"
    first.close()
    until(second, lambda: len(receiver.got) == 2, "the second did not go on")

    assert 2 == len({event["data"]["id"] for event in receiver.got})


def test_what_was_trimmed_away_before_it_was_delivered_is_counted(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    subscribe(world, receiver.url, "session.ready")
    for _ in range(3):
        world.submit()
    world.client.xtrim(world.keys.events(), maxlen=1, approximate=False)

    until(Delivery("ci", parts), lambda: len(receiver.got) == 1, "it did not go on after the gap")

    assert 1 == world.subscribers.get("ci").gaps


def test_subscribers_come_and_go_while_replicas_run(
    world: World, server: EmbeddedRedis, receiver: Receiver
) -> None:
    """A subscriber is served without a restart, and one that was removed gets nothing."""
    running = Deliveries(DeliveryParts(connect(server.url), world.keys, SECRET))
    running.start()
    subscribe(world, receiver.url, "session.ready")
    world.submit()
    wait_until(lambda: receiver.got, within=20, saying="a new subscriber was not found")

    world.subscribers.remove("ci")
    wait_until(lambda: not running._running, within=20, saying="it was not let go")
    running.stop()

    assert 1 == len(receiver.got)
