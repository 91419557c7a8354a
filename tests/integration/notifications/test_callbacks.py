"""Outcomes reach the address a session named over real HTTP, and a dead host holds up nobody else."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook

from scheduler.domain import moves as m
from scheduler.domain.callback import AllowedHosts
from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.retry import RetryPolicy
from scheduler.notifications.callbacks import CallbackParts, CallbackRules, Callbacks
from scheduler.protocol.signing import callback_key
from scheduler.store.callbacks import CallbackRepository
from scheduler.testing.waiting import wait_until
from tests.integration.notifications.receiver import Receiver
from tests.unit.store.lives import K, S, World

pytestmark = pytest.mark.integration
SECRET = "a secret of the tests"
#: Long enough for an answer on a busy machine, which would be asked again else, and counted twice.
QUICK = CallbackRules(backoff=RetryPolicy(initial_ms=1, maximum_ms=20), budget_s=10.0)


class Posting:
    """Replicas as far as callbacks go, turned by hand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: list[Callbacks] = []

    def __call__(self, rules: CallbackRules = QUICK) -> Callbacks:
        parts = CallbackParts(self._world.client, self._world.keys, SECRET, rules)
        self._made.append(Callbacks(parts))
        return self._made[-1]

    def close(self) -> None:
        for one in self._made:
            one.close()


@pytest.fixture
def posting(world: World) -> Iterator[Posting]:
    made = Posting(world)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that keeps connections open."""
    made = Receiver("HTTP/1.1")
    yield made
    made.close()


@pytest.fixture
def outbox(world: World) -> CallbackRepository:
    return CallbackRepository(world.client, world.keys)


def until(callbacks: Callbacks, done: Callable[[], object], saying: str) -> None:
    def look() -> bool:
        callbacks.run_once()
        return bool(done())

    wait_until(look, within=20, saying=saying)


def ended(world: World, url: str, target: S = S.SUCCEEDED, **asked: Any) -> str:
    """A session that ran and ended, with a result if it succeeded."""
    session = world.into(S.RUNNING, callback=url, **asked)
    world.over(session, result='{"loss":0.1}')
    world.finish(session, target)
    return session


def told(world: World, session: str) -> str:
    return world.get(session).callback_told


def test_an_outcome_is_posted_once_and_signed_for_its_host(
    world: World, posting: Posting, receiver: Receiver, outbox: CallbackRepository
) -> None:
    """J13: a finished job triggers what lies outside."""
    world.office()
    scopes = {"office": "o", "role": "o/a"}
    session = ended(world, f"{receiver.url}?run=7", name="train", scopes=scopes)
    assert ("waiting", (1, 0)) == (told(world, session), outbox.counts())

    callbacks = posting()
    until(callbacks, lambda: "delivered" in told(world, session), "it was not delivered")
    callbacks.run_once()

    [got], data = receiver.got, world.get(session)
    assert ("job_completed", 1, (0, 0)) == (got["type"], receiver.asked, outbox.counts())
    assert {
        "id": session,
        "state": "SUCCEEDED",
        "office": "o",
        "role": "a",
        "name": "train",
        "exit_code": 0,
        "attempts": 1,
        "result": {"loss": 0.1},
    }.items() <= got["data"].items()
    assert receiver.headers[0]["Webhook-Id".lower()] == f"{session}.{data.ended_at}"
    key = callback_key(SECRET, world.keys.root, f"http://127.0.0.1:{receiver.port}")
    verifier = Webhook(bytes.fromhex(key))
    assert got == verifier.verify(receiver.bodies[0], receiver.headers[0])


def test_each_end_is_told_and_one_without_a_callback_is_not(
    world: World, posting: Posting, receiver: Receiver
) -> None:
    """Whoever ends it: an app, the leader, a parent's failure; and again after a retry."""
    world.advance(quick := world.into(S.SCHEDULED, callback=receiver.url), K.ORDERED)
    parent = world.submit(callback=receiver.url, depends_on=[first := world.submit()])
    refused = world.submit(callback=receiver.url)
    world.sessions.cancel(first)
    world.resolve_all()
    world.apply(m.Settle(refused, "default", "refuse", "it can never run"))
    failed = ended(world, receiver.url, S.FAILED)
    callbacks = posting()
    until(callbacks, lambda: len(receiver.got) == 4, "four ends were not told")
    world.sessions.retry(failed)
    world.sessions.cancel(failed)
    until(callbacks, lambda: len(receiver.got) == 5, "the end after a retry was not told")

    ends = [(each["data"]["id"], each["data"]["state"]) for each in receiver.got]
    assert {
        (quick, "SUCCEEDED"),
        (parent, "CANCELLED"),
        (refused, "FAILED"),
        (failed, "FAILED"),
    } == set(ends[:4])
    assert (failed, "CANCELLED") == ends[4]


def test_what_a_host_did_not_take_is_posted_again_then_parked_and_resumed(
    world: World, posting: Posting, receiver: Receiver, outbox: CallbackRepository
) -> None:
    receiver.answers += [500, 302]
    session = ended(world, receiver.url)
    callbacks = posting()
    until(callbacks, lambda: receiver.got, "it was not posted again")
    assert 3 == receiver.asked, "a redirect was followed"

    for answer, again in ((500, replace(QUICK, patience_ms=0)), (410, QUICK)):
        receiver.answers.append(answer)
        other = ended(world, receiver.url)
        until(posting(again), lambda: outbox.counts() == (0, 1), "it was not parked")
        assert told(world, other).startswith("parked: http://127.0.0.1")
        assert "callback.parked" == world.events.newest(1)[0].name
        outbox.resume(outbox.parked(9)[0].entry)
        until(callbacks, lambda: outbox.counts() == (0, 0), "it was not resumed")
    assert "delivered" in told(world, session)
    assert 3 == len(receiver.got)


def test_hosts_that_are_dead_or_hang_hold_up_no_other(
    world: World, posting: Posting, receiver: Receiver, outbox: CallbackRepository
) -> None:
    """N2: and come back. Ends are written all the while, by nobody who waits."""
    hanging = Receiver()
    hanging.free.clear()
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{refusing.getsockname()[1]}/x"
        for _ in range(5):
            ended(world, hanging.url)
            ended(world, dead)
        callbacks = posting(replace(QUICK, budget_s=0.3))
        until(callbacks, lambda: hanging.asked, "nothing was posted to the one that hangs")
        well = [ended(world, receiver.url) for _ in range(5)]
        until(
            callbacks,
            lambda: all("delivered" in told(world, session) for session in well),
            "the others were held up",
        )
        # One whose answer came late, on a machine that is busy, may have been posted twice.
        assert ([], {*well}) == (hanging.got, {got["data"]["id"] for got in receiver.got})
        until(
            callbacks,
            lambda: sum(lane.failures > 1 for lane in outbox.lanes()) == 2,
            "hosts without an answer were not counted",
        )
        # One at a time each, and none while its host backs off.
        assert {5} == {lane.waiting for lane in outbox.lanes()}
    hanging.free.set()
    until(callbacks, lambda: len(hanging.got) >= 5, "it did not come back")
    hanging.close()


def test_a_replica_killed_before_it_noted_it_posts_again_else_never(
    world: World, posting: Posting, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D1: at each step between the end of a session and the note that its outcome was taken."""
    session = ended(world, receiver.url)
    first, second = posting(), posting()
    done = CallbackRepository.done
    broken = StoreUnavailable(url="redis://x", why="gone")

    def lost(*_: object) -> None:
        raise broken

    monkeypatch.setattr(CallbackRepository, "done", lost)
    with pytest.raises(StoreUnavailable):
        until(first, lambda: False, "")
    monkeypatch.setattr(CallbackRepository, "done", done)
    # Redis did not answer for a moment: the same replica notes it later, and posts nothing twice.
    until(first, lambda: "delivered" in told(world, session), "it was not noted")
    assert 1 == receiver.asked

    # Killed with the note unwritten: the next one posts it once the lane's hold is over.
    again = ended(world, receiver.url)
    monkeypatch.setattr(CallbackRepository, "done", lost)
    with pytest.raises(StoreUnavailable):
        until(first, lambda: False, "")
    monkeypatch.setattr(CallbackRepository, "done", done)
    second.run_once()
    assert 2 == receiver.asked, "two replicas posted to one host at a time"
    for key in (world.keys.callback_lanes(), world.keys.callback_holds()):
        lane = f"http://127.0.0.1:{receiver.port}"
        if key == world.keys.callback_lanes():
            world.client.zadd(key, {lane: 0})
        else:
            world.client.hset(key, lane, "0")
    until(second, lambda: "delivered" in told(world, again), "nobody went on")
    assert 3 == receiver.asked
    ids = [headers["webhook-id"] for headers in receiver.headers]
    assert ids[1] == ids[2] != ids[0]


def test_a_host_that_is_not_allowed_is_not_asked_and_its_callbacks_are_parked_at_once(
    world: World, posting: Posting, receiver: Receiver, outbox: CallbackRepository
) -> None:
    session = ended(world, receiver.url)
    callbacks = posting(replace(QUICK, allowed=AllowedHosts(("*.example.org",))))

    until(callbacks, lambda: outbox.counts() == (0, 1), "it was kept trying")

    assert "is not among the hosts" in told(world, session)
    assert 0 == receiver.asked


def test_no_secret_of_an_address_is_shown(
    world: World, posting: Posting, receiver: Receiver, outbox: CallbackRepository
) -> None:
    receiver.answers += [500] * 1_000
    ended(world, f"{receiver.url}/p4thsecret?token=t0kensecret")
    until(posting(), lambda: "answered 500" in repr(outbox.lanes()), "it was not tried")

    shown = json.dumps([event.as_dict() for event in world.events.since("0-0")])
    shown += repr(outbox.lanes())
    assert "answered 500" in shown
    assert not any(secret in shown for secret in ("p4thsecret", "t0kensecret"))
