"""What makes the scripts that steer jobs answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from scheduler.domain.errors import SessionRevisionConflict
from scheduler.domain.job import with_role
from scheduler.domain.office import office_scopes
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.session import SessionData
from scheduler.store.timeouts import TimeoutRepository
from tests.unit.store.lives import NOBODY, S, World
from tests.unit.store.words_of_offices import without_office


def _job(world: World, state: S = S.READY, **asked: Any) -> str:
    world.office("acme", roles=["builder", "tester"])
    return world.into(state, scopes=office_scopes("acme", "builder"), **asked)


def _hand(world: World, data: SessionData, role: str = "acme/tester") -> None:
    world.jobs.handoff(data, with_role(data.request, Scope("role", role)))


def _hand_over(world: World, state: S = S.READY) -> None:
    _hand(world, world.get(_job(world, state)))


def _hand_over_twice(world: World) -> None:
    job = _job(world)
    _hand(world, world.get(job))
    data = world.get(job)
    world.jobs.handoff(data, data.request)


def _hand_over_beside(world: World) -> None:
    before = world.get(_job(world))
    _hand(world, before)
    world.jobs.handoff(before, with_role(before.request, Scope("role", "acme/cook")))


def _hand_over_too_many(world: World) -> None:
    world.scopes.limit(Scope("role", "acme/tester"), ScopeLimits(max_pending_sessions=0))
    _hand_over(world)


def _hand_over_gone(world: World) -> None:
    data = world.get(_job(world, S.FAILED))
    world.forget(S.FAILED, 2**45)
    _hand(world, data)


def _hand_over_without_office(world: World) -> None:
    data = world.get(_job(world, S.FAILED))
    without_office(world, "acme")
    _hand(world, data)


STALE = "0 a-change"


def _stale(change: Callable[[World, str], object], state: S = S.READY) -> Callable[[World], None]:
    """A change that expects the job as it never was."""

    def case(world: World) -> None:
        with suppress(SessionRevisionConflict):
            change(world, world.into(state))

    return case


def _hand_over_stale(world: World) -> None:
    data = world.get(_job(world))
    world.jobs.handoff(data, with_role(data.request, Scope("role", "acme/tester")), STALE)


def _submitted_at(world: World) -> int:
    return world.get(_job(world)).submitted_at


JOBS: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("session/priority", "changed"): lambda w: w.sessions.set_priority(w.into(S.READY), 50),
    ("session/priority", "already"): lambda w: w.sessions.set_priority(w.into(S.READY), 10),
    ("session/priority", "wrong_state"): lambda w: w.sessions.set_priority(w.into(S.FAILED), 50),
    ("session/look", "found"): lambda w: w.sessions.look(w.into(S.READY)),
    ("session/look", "gone"): lambda w: w.sessions.look(NOBODY),
    ("session/cancel", "conflict"): _stale(lambda w, job: w.sessions.cancel(job, seen=STALE)),
    ("session/retry", "conflict"): _stale(
        lambda w, job: w.sessions.retry(job, seen=STALE), S.FAILED
    ),
    ("session/priority", "conflict"): _stale(
        lambda w, job: w.sessions.set_priority(job, 50, seen=STALE)
    ),
    ("session/set_timeout", "conflict"): _stale(
        lambda w, job: TimeoutRepository(w.client, w.keys).set(job, 1, seen=STALE)
    ),
    ("office/submitted_before", "found"): lambda w: w.jobs.submitted_before(
        "acme", "builder", [S.READY], [_submitted_at(w), 2**53]
    ),
    ("session/handoff", "conflict"): _hand_over_stale,
    ("session/priority", "gone"): lambda w: w.sessions.set_priority(NOBODY, 50),
    ("session/handoff", "handed"): _hand_over,
    ("session/handoff", "already"): _hand_over_twice,
    ("session/handoff", "changed"): _hand_over_beside,
    ("session/handoff", "wrong_state"): lambda w: _hand_over(w, S.RUNNING),
    ("session/handoff", "over_pending"): _hand_over_too_many,
    ("session/handoff", "unknown_office"): _hand_over_without_office,
    ("session/handoff", "unknown_role"): lambda w: _hand(w, w.get(_job(w)), "acme/cook"),
    ("session/handoff", "gone"): _hand_over_gone,
}
