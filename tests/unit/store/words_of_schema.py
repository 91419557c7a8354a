"""What makes the scripts of the layout answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scheduler.store import schema
from scheduler.store.counting import count_anew, last_event
from scheduler.store.script import Script
from tests.unit.store.lives import GROUP, S, World


def run(world: World, name: str, **values: Any) -> list[Any]:
    """A script as it is."""
    return Script.load(name)(world.client, world.keys.root, **values)


def _stamp(world: World, *versions: int) -> None:
    for version in versions:
        run(world, "schema/stamp", version=version, events_cap=1000)


def _rebuild(
    world: World, *, found: int = 1, led: bool = False, mark: str = "", last: int = 1
) -> None:
    session = world.into(S.RUNNING)
    if not led:
        world.client.delete(world.keys.lock(GROUP))
    _stamp(world, 1)
    counted = count_anew(world.client, world.keys)
    run(
        world,
        "schema/rebuild",
        version=found,
        target=2,
        mark=mark or counted.mark,
        held=[{"session": session, "charge": "{}"}],
        counts={"user u": '{"pending":1}'},
        limits={"user u": '{"max_sessions":"1"}'},
        gone=[],
        last=last,
    )


def _list_jobs(world: World, *, found: int = 2, led: bool = False) -> None:
    session = world.into(S.RUNNING)
    if not led:
        world.client.delete(world.keys.lock(GROUP))
    _stamp(world, 2)
    jobs = [{"session": session, "job": "acme/builder", "stray": 0}]
    run(world, "schema/list_jobs", version=found, guarded=1, jobs=jobs)


def _count(world: World, mark: str = "") -> None:
    world.submit()
    mark = mark or last_event(world.client, world.keys)
    run(world, "scope/count", mark=mark, counts={"user u": '{"pending":1}'})


SCHEMA: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("schema/stamp", "stamped"): lambda w: _stamp(w, schema.VERSION),
    ("schema/stamp", "known"): lambda w: _stamp(w, 1, 1),
    ("schema/stamp", "newer"): lambda w: _stamp(w, 2, 1),
    ("schema/stamp", "older"): lambda w: _stamp(w, 1, 2),
    ("scope/count", "counted"): _count,
    ("scope/count", "disturbed"): lambda w: _count(w, mark="1-1-1-"),
    ("schema/rebuild", "written"): lambda w: _rebuild(w, last=0),
    ("schema/rebuild", "finished"): _rebuild,
    ("schema/rebuild", "known"): lambda w: _rebuild(w, found=2),
    ("schema/rebuild", "led"): lambda w: _rebuild(w, led=True),
    ("schema/rebuild", "disturbed"): lambda w: _rebuild(w, mark="1-1"),
    ("schema/list_jobs", "listed"): _list_jobs,
    ("schema/list_jobs", "known"): lambda w: _list_jobs(w, found=1),
    ("schema/list_jobs", "led"): lambda w: _list_jobs(w, led=True),
}

SCHEMA_REPEATED: Mapping[tuple[str, str], str] = {
    ("schema/stamp", "stamped"): "known",
    ("schema/rebuild", "finished"): "known",
}
