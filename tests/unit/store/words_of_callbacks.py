"""What makes the scripts of callbacks answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scheduler.store.callbacks import CallbackRepository, Taken, Undelivered
from tests.unit.store.lives import World

URL = "https://ci.example.org/done?token=abcdef"
AGAIN = Undelivered("it said no", 1_000, 0, 3_600_000)
AT_LAST = replace(AGAIN, patience=0)


def outbox(world: World) -> CallbackRepository:
    """The callbacks of a world."""
    return CallbackRepository(world.client, world.keys)


def taken(world: World, url: str = URL) -> Taken:
    """The callback of a session that was cancelled, on its way."""
    world.sessions.cancel(world.submit(callback=url))
    return outbox(world).take(1, 60_000)[0]


def _done(world: World, one: Taken) -> None:
    outbox(world).done(one)


def _fail(world: World, one: Taken, failed: Undelivered = AGAIN) -> str:
    return outbox(world).fail(one, failed)


def _gone(world: World) -> Taken:
    one = taken(world)
    outbox(world).done(one)
    return one


def _seen(one: Taken) -> Taken:
    return replace(one, callback=replace(one.callback, failures=7))


def _resume(world: World, entry: str) -> None:
    outbox(world).resume(entry)


def _resume_parked(world: World) -> None:
    one = taken(world)
    _fail(world, one, AT_LAST)
    _resume(world, one.callback.entry)


def _again(world: World) -> None:
    one = taken(world)
    _fail(world, one, AT_LAST)
    outbox(world).again([one.callback.entry])


CALLBACKS: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("callback/take", "taken"): taken,
    ("callback/done", "done"): lambda w: _done(w, taken(w)),
    ("callback/done", "gone"): lambda w: _done(w, _gone(w)),
    ("callback/fail", "again"): lambda w: _fail(w, taken(w)),
    ("callback/fail", "parked"): lambda w: _fail(w, taken(w), AT_LAST),
    ("callback/fail", "moved"): lambda w: _fail(w, _seen(taken(w))),
    ("callback/fail", "gone"): lambda w: _fail(w, _gone(w)),
    ("callback/resume", "resumed"): _resume_parked,
    ("callback/again", "put"): _again,
    ("callback/resume", "gone"): lambda w: _resume(w, "nobody.1"),
}

REPEATS_OF_CALLBACKS: Mapping[tuple[str, str], str] = {
    ("callback/done", "done"): "gone",
    ("callback/fail", "again"): "moved",
    ("callback/fail", "parked"): "moved",
    ("callback/resume", "resumed"): "gone",
}
