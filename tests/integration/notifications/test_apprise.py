"""Permanent failures reach people by apprise, over a real SMTP server and a real HTTP receiver."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiosmtpd.controller import Controller

from scheduler.domain.errors import InvalidSetting, StoreUnavailable
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.throttle import Throttle
from scheduler.notifications import apprise as apprise_module
from scheduler.notifications.delivery import Delivery, DeliveryParts
from scheduler.observability import logs
from scheduler.operations.subscribing import add_subscriber, resume_subscriber
from scheduler.store.subscribers import SubscriberRepository, Wanted
from scheduler.testing.waiting import wait_until
from tests.integration.notifications.receiver import Receiver
from tests.unit.store.lives import S, World

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests"
FAILURES = Wanted(["job_failed", "job_timeout"])


class Mailbox:
    """An SMTP server that refuses and comes back as a test says."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.answers: list[str] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.got.append(envelope.content.decode())
        return answer


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@pytest.fixture(autouse=True)
def quick_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smtplib asks for this machine's name, which may take seconds; and apprise pauses between messages."""
    monkeypatch.setattr(socket, "getfqdn", lambda *_: "localhost")
    monkeypatch.setattr(apprise_module, "_PAUSE_S", 0.0)


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    server: Any = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    port = server.port
    yield box, f"mailto://127.0.0.1:{port}/?from=scheduler@x.org&to=ops@x.org&mode=insecure"
    server.stop()


@pytest.fixture
def parts(world: World) -> DeliveryParts:
    backoff = RetryPolicy(initial_ms=1, maximum_ms=5)
    return DeliveryParts(world.client, world.keys, SECRET, backoff=backoff)


def add(world: World, url: str, wanted: Wanted = FAILURES) -> None:
    add_subscriber(world, "ops", ("apprise", {"url": url}), wanted, from_oldest=False)


def failed(world: World, **asked: Any) -> str:
    session = world.into(S.RUNNING, **asked)
    world.over(session)
    world.finish(session, S.FAILED)
    return session


def until(delivery: Delivery, done: Callable[[], object], saying: str) -> None:
    def look() -> bool:
        delivery.run_once()
        return bool(done())

    wait_until(look, within=20, saying=saying)


def test_a_permanent_failure_is_mailed_once_and_says_what_and_why(
    world: World, parts: DeliveryParts, mail: tuple[Mailbox, str]
) -> None:
    """A3, A4: refused twice, then taken, and not written again."""
    box, url = mail
    world.office()
    add(world, url, Wanted([]))
    box.answers += ["451 later", "554 no"]
    world.sessions.cancel(world.submit())
    scopes = {"office": "o", "role": "o/a"}
    session = failed(world, scopes=scopes, name="train", priority=95)

    delivery = Delivery("ops", parts)
    until(delivery, lambda: box.got, "no mail came")
    failed(world)
    until(delivery, lambda: len(box.got) == 2, "the next failure was not mailed")

    [first, second] = box.got
    assert "Subject: URGENT: o/a: train failed" in first
    for line in (
        f"({session})",
        "Why: why",
        "Error: told",
        f"scheduler session explain {session}",
    ):
        assert line in first
    assert "URGENT" not in second
    now = world.subscribers.get("ops")
    assert (2, 2, ("job_failed", "job_timeout")) == (now.delivered, now.failed, now.events)


def test_a_receiver_that_hangs_is_parked_and_comes_back(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    """A4, N2: sessions end all the while."""
    add(world, f"json://127.0.0.1:{receiver.port}/x")
    receiver.free.clear()
    delivery = Delivery("ops", replace(parts, budget_s=0.1, max_failures=2))
    sessions = [failed(world) for _ in range(3)]

    until(delivery, lambda: world.subscribers.get("ops").parked, "it was not parked")
    assert {S.FAILED} == {world.state(session) for session in sessions}
    receiver.free.set()
    resume_subscriber(world, "ops", skip=False)
    until(
        delivery,
        lambda: world.subscribers.get("ops").delivered == 3,
        "it did not come back",
    )

    # The one it hung at was taken in the end, after the budget: it is not written twice.
    assert 3 == len(receiver.got) == receiver.asked
    title = [message["title"] for message in receiver.got]
    assert all(text.endswith("failed") for text in title)


@pytest.mark.parametrize("step", ["before", "taken", "noted"])
def test_a_replica_killed_at_any_step_repeats_only_what_was_not_noted(
    world: World,
    parts: DeliveryParts,
    receiver: Receiver,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D1: killed before the message is sent, between its acknowledgement and the note, and after it."""
    add(world, f"json://127.0.0.1:{receiver.port}/x")
    failed(world)
    first, second = Delivery("ops", parts), Delivery("ops", parts)
    broken = StoreUnavailable(url="redis://x", why="gone")

    def advance(*_: object, **__: object) -> bool:
        raise broken

    if step == "taken":
        monkeypatch.setattr(SubscriberRepository, "advance", advance)
    if step != "before":
        try:
            until(first, lambda: world.subscribers.get("ops").delivered, "it was not noted")
        except StoreUnavailable:
            assert "taken" == step
    monkeypatch.undo()
    # Its lock runs out; it is dead.
    world.client.delete(world.keys.subscriber_lock("ops"))
    failed(world)
    until(second, lambda: world.subscribers.get("ops").delivered == 2, "nobody went on")

    assert {"before": 2, "taken": 3, "noted": 2}[step] == len(receiver.got)


def test_a_note_that_was_lost_is_written_later_and_the_message_not_sent_again(
    world: World,
    parts: DeliveryParts,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(world, f"json://127.0.0.1:{receiver.port}/x")
    failed(world)
    delivery = Delivery("ops", parts)

    def lost(*_: object, **__: object) -> bool:
        raise StoreUnavailable(url="redis://x", why="gone")

    monkeypatch.setattr(SubscriberRepository, "advance", lost)
    with pytest.raises(StoreUnavailable):
        until(delivery, lambda: False, "")
    monkeypatch.undo()
    until(delivery, lambda: world.subscribers.get("ops").delivered, "it was not noted")

    assert 1 == receiver.asked


def test_what_a_throttle_holds_back_is_told_in_one_digest_over_a_take_over(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    """A4: nothing is lost in silence, whoever delivers."""
    add(
        world,
        f"json://127.0.0.1:{receiver.port}/x",
        replace(FAILURES, throttle=Throttle(2, 60_000)),
    )
    first, second = Delivery("ops", parts), Delivery("ops", parts)
    for _ in range(4):
        failed(world)
    until(first, lambda: sum(world.subscribers.get("ops").window.held.values()) == 2, "not held")
    first.close()
    last = failed(world)
    for _ in range(4):
        failed(world)
    until(second, lambda: sum(world.subscribers.get("ops").window.held.values()) == 7, "not held")
    assert 2 == len(receiver.got)

    # A minute later.
    window = replace(world.subscribers.get("ops").window, since=1)
    world.client.hset(world.keys.subscriber("ops"), "window", window.text())
    receiver.answers.append(500)
    until(second, lambda: len(receiver.got) == 3, "no digest came")
    failed(world)
    until(second, lambda: len(receiver.got) == 4, "the next window did not begin")

    digest = receiver.got[2]
    assert "7 more failures in 1 min, told together" == digest["title"]
    assert "7 job_failed: job_failed of" in digest["message"]
    assert last in digest["message"]
    assert "and 2 more" in digest["message"]
    now = world.subscribers.get("ops")
    assert (4, {}, 2) == (now.delivered, now.window.held, now.window.sent)


def test_a_digest_that_nobody_takes_can_be_skipped(
    world: World, parts: DeliveryParts, receiver: Receiver
) -> None:
    add(
        world,
        f"json://127.0.0.1:{receiver.port}/x",
        replace(FAILURES, throttle=Throttle(1, 60_000)),
    )
    delivery = Delivery("ops", replace(parts, max_failures=1))
    failed(world)
    failed(world)
    until(delivery, lambda: world.subscribers.get("ops").window.held, "nothing was held back")
    window = replace(world.subscribers.get("ops").window, since=1)
    world.client.hset(world.keys.subscriber("ops"), "window", window.text())
    receiver.answers.append(500)
    until(delivery, lambda: world.subscribers.get("ops").parked, "it was not parked")

    resume_subscriber(world, "ops", skip=True)
    failed(world)
    until(delivery, lambda: len(receiver.got) == 2, "it did not go on")

    assert {} == world.subscribers.get("ops").window.held


SECRETS = ("us3rname", "passw0rd", "t0kenpath", "querys3cret", "headers3cret")


def test_no_secret_of_a_receiver_is_shown_anywhere(
    world: World,
    parts: DeliveryParts,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every log at DEBUG, every event, what is stored as an error, and what is said of a bad address."""
    out = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", logging.root.handlers[:])
    configured = structlog.get_config()
    logs.configure("DEBUG", out)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    where = (
        f"us3rname:passw0rd@127.0.0.1:{receiver.port}/t0kenpath?+X-Key=headers3cret&-q=querys3cret"
    )
    add(world, f"json://{where}")
    opts = {"url": f"http://{where}"}
    add_subscriber(world, "hook", ("webhook", opts), FAILURES, from_oldest=False)
    receiver.answers += [500, 500, 410, 410]
    failed(world)
    for name in ("ops", "hook"):
        delivery = Delivery(name, replace(parts, max_failures=2))
        until(delivery, lambda: world.subscribers.get(name).parked, "not parked")  # noqa: B023 - called here
    said = [world.subscribers.get(name).error for name in ("ops", "hook")]
    with pytest.raises(InvalidSetting) as refused:
        add(world, f"nope://{where}")
    said.append(str(refused.value))
    logging.getLogger("apprise").setLevel(logging.WARNING)
    structlog.configure(**configured)

    events = json.dumps([event.as_dict() for event in world.events.since("0-0")])
    shown = out.getvalue() + events + " ".join(said)
    assert "subscriber.failed" in out.getvalue()
    assert "did not take it" in said[0]
    assert [] == [secret for secret in SECRETS if secret in shown]
    assert "passw0rd" not in repr(parts)


def test_an_address_may_stand_with_the_replicas_only(
    world: World, parts: DeliveryParts, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is never in Redis; a replica that does not have it leaves the subscriber to others."""
    opts = {"url_env": "OPS_URL"}
    add_subscriber(world, "ops", ("apprise", opts), FAILURES, from_oldest=False)
    failed(world)
    assert Delivery("ops", parts).run_once() > 0
    monkeypatch.setenv("OPS_URL", f"json://u:passw0rd@127.0.0.1:{receiver.port}/x")
    delivery = Delivery("ops", parts)

    until(delivery, lambda: receiver.got, "it was not told")

    assert "passw0rd" not in json.dumps(world.client.hgetall(world.keys.subscriber("ops")))
