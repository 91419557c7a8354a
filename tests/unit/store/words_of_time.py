"""What makes the scripts of timers, chores and digests answer each of their words; see words.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scheduler.domain.moves import Timer
from scheduler.store.chores import ChoreRepository, ChoreRun
from scheduler.store.timeouts import TimeoutRepository
from tests.unit.store.lives import GROUP, NOBODY, OTHER, S, World


def _chore(world: World, at_ms: int, group: str = GROUP) -> str:
    run = ChoreRun("retention", at_ms, 3, "r1", "2 sessions forgotten", well=True)
    return ChoreRepository(world.client, world.keys).note(group, run)


def _digest(world: World, runs: int) -> None:
    world.client.hset(world.keys.durations("o"), mapping={"8": runs})
    world.durations.fold("o", 4)


def _set(world: World, session: str, timeout_ms: int | None) -> str:
    return TimeoutRepository(world.client, world.keys).set(session, timeout_ms)


def _timer(world: World, session: str, placement: str | None = None) -> None:
    placement = placement or world.get(session).placement
    told = [{"index": 0, "agent": "a1", "text": "mac {}"}]
    world.apply(Timer(session, placement, 60_000, 2_000, told))


def _retime(world: World) -> None:
    world.submit()
    world.client.hset(world.keys.group(GROUP), "pending_timeout_ms", 60_000)
    world.groups.retime(GROUP)


TIME: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("session/set_timeout", "set"): lambda w: _set(w, w.into(S.RUNNING), 60_000),
    ("session/set_timeout", "already"): lambda w: _set(w, w.submit(), None),
    ("session/set_timeout", "ended"): lambda w: _set(w, w.into(S.FAILED), 60_000),
    ("session/set_timeout", "gone"): lambda w: _set(w, NOBODY, 60_000),
    ("office/fold_durations", "folded"): lambda w: _digest(w, 6),
    ("office/fold_durations", "small"): lambda w: _digest(w, 4),
    ("office/fold_durations", "gone"): lambda w: w.durations.fold("o", 4),
    ("chore/note", "noted"): lambda w: _chore(w, 5),
    ("chore/note", "older"): lambda w: (_chore(w, 5), _chore(w, 4)),
    ("chore/note", "unknown_group"): lambda w: _chore(w, 5, "g2"),
    ("group/retime", "retimed"): _retime,
    ("leader/ask_process", "asked"): lambda w: w.leadership.ask_process(GROUP, "acme"),
    ("leader/ask_process", "no_leader"): lambda w: (
        w.client.delete(w.keys.lock(GROUP)),
        w.leadership.ask_process(GROUP, "acme"),
    ),
    ("leader/ask_process", "unknown_group"): lambda w: w.leadership.ask_process("g2", "acme"),
}
TIMERS: Mapping[tuple[str, str], Callable[[World], object]] = {
    ("timer", "done"): lambda w: _timer(w, w.into(S.RUNNING)),
    ("timer", "superseded"): lambda w: _timer(w, w.into(S.RUNNING), OTHER),
    ("timer", "gone"): lambda w: _timer(w, NOBODY, OTHER),
    ("timer", "stale"): lambda w: _timer(w, w.into(S.SUCCEEDED)),
}
REPEATS_OF_TIME: Mapping[tuple[str, str], str] = {
    ("session/set_timeout", "set"): "already",
    ("office/fold_durations", "folded"): "small",
}
