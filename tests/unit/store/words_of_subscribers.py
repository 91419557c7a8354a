"""What makes the scripts of subscribers answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scheduler.domain.subscriber import SubscriberData
from scheduler.domain.throttle import Window
from scheduler.store.subscribers import Failed
from tests.unit.store.lives import World


def _subscriber(world: World, kind: str = "webhook") -> SubscriberData:
    world.subscribers.add("ci", kind, {}, ["*"], "0-0")
    return world.subscribers.get("ci")


def _no_subscriber(world: World) -> SubscriberData:
    found = _subscriber(world)
    world.subscribers.remove("ci")
    return found


def _advance(world: World, subscriber: SubscriberData) -> None:
    world.subscribers.advance(subscriber, "0-1", delivered=1, gaps=1)


def _throttled(world: World) -> SubscriberData:
    window = Window(since=1).after_holding("job_failed", "")
    world.subscribers.advance(_subscriber(world), "0-1", window=window)
    return world.subscribers.get("ci")


def _digest(world: World, subscriber: SubscriberData) -> None:
    world.subscribers.digested(subscriber, Window(since=2, sent=1))


def _fail(world: World, subscriber: SubscriberData, limit: int) -> str:
    return world.subscribers.fail(subscriber, Failed("it said no", 1_000, limit))


def _probe(world: World, limit: int, every_ms: int = 0) -> None:
    _fail(world, _subscriber(world), limit)
    world.subscribers.probe("ci", every_ms, 60_000)


SUBSCRIBERS: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("subscriber/add", "added"): _subscriber,
    ("subscriber/add", "exists"): lambda w: (_subscriber(w), _subscriber(w, kind="other")),
    ("subscriber/advance", "done"): lambda w: _advance(w, _subscriber(w)),
    ("subscriber/advance", "moved"): lambda w: _advance(w, replace(_subscriber(w), cursor="0-9")),
    ("subscriber/advance", "gone"): lambda w: _advance(w, _no_subscriber(w)),
    ("subscriber/digest", "done"): lambda w: _digest(w, _throttled(w)),
    ("subscriber/digest", "moved"): lambda w: _digest(w, _subscriber(w)),
    ("subscriber/digest", "gone"): lambda w: _digest(w, _no_subscriber(w)),
    ("subscriber/fail", "again"): lambda w: _fail(w, _subscriber(w), 2),
    ("subscriber/fail", "parked"): lambda w: _fail(w, _subscriber(w), 0),
    ("subscriber/fail", "moved"): lambda w: _fail(w, replace(_subscriber(w), cursor="0-9"), 2),
    ("subscriber/fail", "gone"): lambda w: _fail(w, _no_subscriber(w), 2),
    ("subscriber/resume", "resumed"): lambda w: (
        _fail(w, _subscriber(w), 0),
        w.subscribers.resume("ci"),
    ),
    ("subscriber/resume", "running"): lambda w: (_subscriber(w), w.subscribers.resume("ci")),
    ("subscriber/resume", "gone"): lambda w: w.subscribers.resume("ci"),
    ("subscriber/probe", "probed"): lambda w: _probe(w, 1),
    ("subscriber/probe", "waits"): lambda w: _probe(w, 1, 60_000),
    ("subscriber/probe", "over"): lambda w: _probe(w, 0),
    ("subscriber/probe", "running"): lambda w: _probe(w, 2),
    ("subscriber/probe", "gone"): lambda w: w.subscribers.probe("ci", 0, 60_000),
    ("subscriber/remove", "removed"): _no_subscriber,
    ("subscriber/remove", "gone"): lambda w: w.subscribers.remove("ci"),
}

REPEATS_OF_SUBSCRIBERS: Mapping[tuple[str, str], str] = {
    ("subscriber/advance", "done"): "moved",
    ("subscriber/digest", "done"): "moved",
    ("subscriber/fail", "again"): "moved",
    ("subscriber/fail", "parked"): "moved",
    ("subscriber/resume", "resumed"): "running",
    ("subscriber/probe", "probed"): "running",
    ("subscriber/remove", "removed"): "gone",
}
