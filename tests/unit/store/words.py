"""For every word of every script and move: what makes it answer that word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler.domain import moves as m
from scheduler.domain.errors import SchedulerError
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits
from scheduler.domain.tally import Tally
from scheduler.store.mailbox import Superseded
from scheduler.store.profiles import ProfileRepository
from scheduler.store.script import Script
from tests.unit.store import graph_words
from tests.unit.store.key_words import KEYS, KEYS_REPEATED
from tests.unit.store.lives import FAR, GROUP, NOBODY, OTHER, K, S, World, order_id
from tests.unit.store.words_of_callbacks import CALLBACKS, REPEATS_OF_CALLBACKS
from tests.unit.store.words_of_jobs import JOBS
from tests.unit.store.words_of_offices import OFFICES
from tests.unit.store.words_of_schema import SCHEMA, SCHEMA_REPEATED
from tests.unit.store.words_of_subscribers import REPEATS_OF_SUBSCRIBERS, SUBSCRIBERS
from tests.unit.store.words_of_time import REPEATS_OF_TIME, TIME, TIMERS

Case = Callable[[World], object]


def run(world: World, name: str, **values: Any) -> list[Any]:
    return Script.load(name)(world.client, world.keys.root, **values)


# Sessions


def _submit_with_key(world: World, *, twice_as: str) -> None:
    world.submit(idempotency_key="once", name="first")
    world.submit(idempotency_key="once", name=twice_as)


def _reachable(world: World) -> None:
    world.apply(m.Reach(GROUP, '[{"cpu":1000}]', "", ""))
    world.submit(slots={"cpu": "2"})


def _full(world: World) -> None:
    world.apply(m.Reach(GROUP, "[]", "85", ""))
    world.submit()


def _pending_limit(world: World) -> None:
    world.scopes.limit(GLOBAL, ScopeLimits(max_pending_sessions=1))


def _submit_over(world: World) -> None:
    _pending_limit(world)
    world.submit()
    world.submit()


def _retry_over(world: World) -> None:
    ended = world.into(S.FAILED)
    _pending_limit(world)
    world.submit()
    world.sessions.retry(ended)


def _depend(world: World, session: str, parents: list[str], *, last: int) -> None:
    run(world, "session/depend", session=session, parents=parents, last=last)


SESSIONS: Mapping[tuple[str, str], Case] = {
    ("session/submit", "submitted"): lambda w: w.submit(
        not_before=FAR, idempotency_key="k", name="n"
    ),
    ("session/submit", "unknown_group"): lambda w: w.submit(group="nowhere"),
    ("session/submit", "conflict"): lambda w: _submit_with_key(w, twice_as="second"),
    ("session/submit", "no_parent"): lambda w: w.submit(depends_on=[NOBODY]),
    ("session/submit", "unsatisfiable"): _reachable,
    ("session/submit", "full"): _full,
    ("session/submit", "over_pending"): _submit_over,
    ("session/depend", "loaded"): lambda w: _depend(w, w.submit_unsealed(), [w.submit()], last=0),
    ("session/depend", "sealed"): lambda w: _depend(w, w.submit_unsealed(), [w.submit()], last=1),
    ("session/depend", "no_parent"): lambda w: _depend(w, w.submit_unsealed(), [NOBODY], last=1),
    ("session/depend", "gone"): lambda w: _depend(w, NOBODY, [], last=1),
    ("session/cancel", "cancelled"): lambda w: w.sessions.cancel(w.into(S.READY)),
    ("session/cancel", "accepted"): lambda w: w.sessions.cancel(w.into(S.RUNNING)),
    ("session/cancel", "ended"): lambda w: w.sessions.cancel(w.into(S.FAILED)),
    ("session/cancel", "gone"): lambda w: w.sessions.cancel(NOBODY),
    ("session/retry", "retried"): lambda w: w.sessions.retry(w.into(S.FAILED)),
    ("session/retry", "wrong_state"): lambda w: w.sessions.retry(w.into(S.RUNNING)),
    ("session/retry", "over_pending"): _retry_over,
    ("session/retry", "gone"): lambda w: w.sessions.retry(NOBODY),
    ("session/unlist", "unlisted"): lambda w: (
        w.client.zadd(w.keys.state(GROUP, S.FAILED), {NOBODY: 1}),
        run(w, "session/unlist", group=GROUP, state="FAILED", sessions=[NOBODY]),
    ),
    ("session/forget", "forgotten"): lambda w: (w.into(S.FAILED), w.forget(S.FAILED, 2**45)),
}


def _delete_a_group(world: World) -> None:
    world.groups.configure("g2", {"grows": True})
    world.groups.delete("g2")


def _delete_a_group_on_record(world: World) -> None:
    world.groups.configure("g2", {"grows": True})
    world.sessions.cancel(world.submit(group="g2"))
    world.groups.delete("g2")


# Agents, groups, scopes, terms


def _claim(world: World, *, as_boot: str | None = None) -> None:
    data = world.get(world.into(S.SCHEDULED))
    orders = [order_id(data), f"{NOBODY}-0-{OTHER}"]
    with suppress(Superseded):
        world.mailbox().claim(as_boot or world.boots["a1"], orders, {"body": "{}", "mac": "0"})


def _beat(world: World, *, boot: str, agent: str = "a1") -> None:
    world.mailbox(agent).beat(boot, 60_000, claims=0, running=["x"])


def _answered_beat(world: World, answer: str) -> None:
    world.apply(m.Answer("a2", GROUP, OTHER, answer, "because of this"))
    _beat(world, boot=OTHER, agent="a2")


def _log(world: World, *, cap: int) -> None:
    world.mailbox().log(f"{NOBODY}-0-{OTHER}", "stdout", "text", cap=cap, ttl_s=60)


def _remove_left(world: World) -> None:
    world.apply(m.Mark("a1", world.boots["a1"], "left", ""))
    world.agents.remove("a1")


def _deposed(world: World) -> None:
    world.lead()
    world.apply()


def _deposed_placing(world: World) -> None:
    session, stale = world.submit(), world.leader
    world.lead()
    world.leader = stale
    with suppress(SchedulerError):
        world.place(session)


def _profile(world: World, holder: str, group: str = GROUP) -> str:
    return ProfileRepository(world.client, world.keys).ask(group, holder, OTHER, 1_000)


def _unseat(world: World, nonce: str) -> None:
    world.leadership.unseat(GROUP, nonce)


def _lose_one_that_beats(world: World) -> None:
    _beat(world, boot=world.boots["a1"])
    world.agents.declare_lost("a1")


OTHERS: Mapping[tuple[str, str], Case] = {
    ("agent/claim", "claimed"): _claim,
    ("agent/claim", "superseded"): lambda w: _claim(w, as_boot=OTHER),
    ("agent/report", "told"): lambda w: w.mailbox().report([{"body": "{}", "mac": "0"}]),
    ("agent/beat", "ok"): lambda w: _beat(w, boot=w.boots["a1"]),
    ("agent/beat", "wait"): lambda w: _answered_beat(w, "waiting"),
    ("agent/beat", "refused"): lambda w: _answered_beat(w, "refused"),
    ("agent/beat", "superseded"): lambda w: _beat(w, boot=OTHER),
    ("agent/beat", "unknown"): lambda w: _beat(w, boot=OTHER, agent="a2"),
    ("agent/log", "kept"): lambda w: _log(w, cap=100),
    ("agent/log", "full"): lambda w: _log(w, cap=1),
    ("agent/drain", "done"): lambda w: w.agents.drain("a1"),
    ("agent/drain", "already"): lambda w: w.agents.undrain("a1"),
    ("agent/drain", "gone"): lambda w: w.agents.drain("a2"),
    ("agent/declare_lost", "accepted"): lambda w: w.agents.declare_lost("a1"),
    ("agent/declare_lost", "beats"): _lose_one_that_beats,
    ("agent/declare_lost", "gone"): lambda w: w.agents.declare_lost("a2"),
    ("agent/remove", "done"): _remove_left,
    ("agent/remove", "in_use"): lambda w: w.agents.remove("a1"),
    ("agent/remove", "gone"): lambda w: w.agents.remove("a2"),
    ("group/set", "created"): lambda w: w.groups.configure("g2", {"grows": True}),
    ("group/set", "changed"): lambda w: w.groups.configure(GROUP, {"max_rescues": 5}),
    ("group/set", "unchanged"): lambda w: w.groups.configure(GROUP, {}),
    ("group/set", "exists"): lambda w: w.groups.create(GROUP, {"max_rescues": 5}),
    ("group/set", "unknown_group"): lambda w: w.groups.change("nowhere", {"max_rescues": 5}),
    ("group/set", "conflict"): lambda w: w.groups.change(GROUP, {"max_rescues": 5}, expected=7),
    ("group/pause", "paused"): lambda w: w.groups.pause(GROUP, "a reason"),
    ("group/pause", "resumed"): lambda w: (w.groups.pause(GROUP, "x"), w.groups.resume(GROUP)),
    ("group/pause", "already"): lambda w: w.groups.resume(GROUP),
    ("group/pause", "unknown_group"): lambda w: w.groups.resume("nowhere"),
    ("group/delete", "deleted"): _delete_a_group,
    ("group/delete", "in_use"): lambda w: w.groups.delete(GROUP),
    ("group/delete", "on_record"): _delete_a_group_on_record,
    ("group/delete", "unknown_group"): lambda w: w.groups.delete("nowhere"),
    ("scope/set", "set"): lambda w: w.scopes.limit(GLOBAL, ScopeLimits(3)),
    ("leader/apply", "applied"): lambda w: w.apply(),
    ("leader/apply", "already"): lambda w: w.apply(cursor=("5-5", "6-6")),
    ("leader/apply", "deposed"): _deposed,
    ("leader/place", "applied"): lambda w: w.place(w.submit()),
    ("leader/place", "deposed"): _deposed_placing,
    ("session/read", "found"): lambda w: w.leader.waiting([w.submit(), NOBODY]),
    ("leader/acquire", "acquired"): lambda w: (
        w.client.delete(w.keys.lock(GROUP)),
        w.leadership.acquire(GROUP, OTHER, 60_000),
    ),
    ("leader/acquire", "held"): lambda w: w.leadership.acquire(GROUP, OTHER, 60_000),
    ("leader/elect", "elected"): lambda w: w.lead(),
    ("leader/elect", "not_holder"): lambda w: w.leadership.elect(GROUP, OTHER, "me", "1"),
    ("leader/connection", "noted"): lambda w: w.leadership.publish_connection(
        GROUP, w.leader.term.nonce, "2"
    ),
    ("leader/connection", "deposed"): lambda w: w.leadership.publish_connection(GROUP, OTHER, "2"),
    ("leader/turn", "noted"): lambda w: w.leadership.note_turn(GROUP, w.leader.term.nonce, 9_000),
    ("leader/turn", "deposed"): lambda w: w.leadership.note_turn(GROUP, OTHER, 0),
    ("leader/resign", "resigned"): lambda w: w.leadership.resign(w.leader.term, "asked to"),
    ("leader/resign", "deposed"): lambda w: w.leadership.resign(
        replace(w.leader.term, nonce=OTHER), "late"
    ),
    ("leader/unseat", "unseated"): lambda w: _unseat(w, w.leader.term.nonce),
    ("leader/unseat", "changed"): lambda w: _unseat(w, OTHER),
    ("leader/ask_resign", "asked"): lambda w: w.leadership.ask_resign(GROUP),
    ("leader/ask_resign", "no_leader"): lambda w: (
        w.groups.configure("g2", {}),
        w.leadership.ask_resign("g2"),
    ),
    ("leader/ask_resign", "unknown_group"): lambda w: w.leadership.ask_resign("g2"),
    ("leader/ask_profile", "asked"): lambda w: _profile(w, "replica"),
    ("leader/ask_profile", "elsewhere"): lambda w: _profile(w, "another"),
    ("leader/ask_profile", "no_leader"): lambda w: (
        w.client.delete(w.keys.lock(GROUP)),
        _profile(w, "replica"),
    ),
    ("leader/ask_profile", "unknown_group"): lambda w: _profile(w, "replica", "g2"),
}

# The leader's moves


def _place_limited(world: World) -> None:
    world.scopes.limit(Scope("keypair", "k"), ScopeLimits(0))
    world.place(world.submit(keypair="k"))


def _place_away(world: World) -> None:
    world.agents.drain("a1")
    world.place(world.submit())


def _place_again(world: World) -> None:
    session = world.into(S.SCHEDULED)
    world.place(session, placement=world.get(session).placement)


def _stop_twice(world: World) -> None:
    session = world.into(S.RUNNING)
    world.stop(session, "cancelled")
    world.stop(session, "failed")


def _ended(world: World, state: S, target: S = S.SUCCEEDED, **changes: Any) -> None:
    session = world.into(state)
    world.kernels_over(session)
    world.finish(session, target, **changes)


def _resolve(world: World, limit: int) -> None:
    parent = world.submit()
    for _ in range(2):
        world.submit(depends_on=[parent])
    world.sessions.cancel(parent)
    world.resolve(parent, limit)


def _admit_again(world: World) -> None:
    world.admit(boot=world.boots["a1"])


def _answer(world: World, times: int) -> None:
    for _ in range(times):
        world.apply(m.Answer("a2", GROUP, OTHER, "refused", "no slots"))


def _mark(
    world: World, *, agent: str = "a1", boot: str | None = None, status: str = "not-ready"
) -> None:
    world.apply(m.Mark(agent, boot or world.boots["a1"], status, "its beats stopped"))


def _kill(world: World, times: int) -> None:
    for _ in range(times):
        world.apply(m.Kill("a1", f"{NOBODY}-0-{OTHER}", "mac {}"))


MOVES: Mapping[tuple[str, str], Case] = {
    **TIMERS,
    ("place", "placed"): lambda w: w.place(w.submit(keypair="k", cluster_size=2), ("a1", "a2")),
    ("place", "already"): _place_again,
    ("place", "stale"): lambda w: w.place(w.into(S.RUNNING)),
    ("place", "limited"): _place_limited,
    ("place", "away"): _place_away,
    ("place", "full"): lambda w: w.place(w.submit(slots={"cpu": "65"})),
    ("claim", "done"): lambda w: w.claim(w.into(S.SCHEDULED)),
    ("claim", "already"): lambda w: w.claim(w.into(S.PREPARING)),
    ("claim", "superseded"): lambda w: w.claim(w.into(S.SCHEDULED), placement=OTHER),
    ("claim", "gone"): lambda w: w.claim(NOBODY),
    ("up", "done"): lambda w: w.up(w.into(S.PREPARING)),
    ("up", "already"): lambda w: w.up(w.into(S.RUNNING)),
    ("up", "superseded"): lambda w: w.up(w.into(S.PREPARING), placement=OTHER),
    ("up", "gone"): lambda w: w.up(NOBODY),
    ("over", "done"): lambda w: w.over(w.into(S.RUNNING), result='{"x":1}'),
    ("over", "already"): lambda w: w.over(w.into(S.SUCCEEDED)),
    ("over", "superseded"): lambda w: w.over(w.into(S.RUNNING), placement=OTHER),
    ("over", "gone"): lambda w: w.over(NOBODY),
    ("advance", "done"): lambda w: w.advance(w.into(S.SCHEDULED), K.ORDERED, result='{"x":1}'),
    ("advance", "already"): lambda w: w.advance(w.into(S.RUNNING), K.CLAIMED, K.UP),
    ("advance", "superseded"): lambda w: w.advance(w.into(S.RUNNING), K.UP, placement=OTHER),
    ("advance", "gone"): lambda w: w.advance(NOBODY, K.ORDERED),
    ("advance", "alive"): lambda w: w.advance(w.into(S.RUNNING, cluster_size=2), K.UP),
    ("advance", "stale"): lambda w: w.advance(w.into(S.SUCCEEDED), K.UP),
    ("lose", "done"): lambda w: w.lose(w.into(S.RUNNING)),
    ("lose", "already"): lambda w: w.lose(w.into(S.SUCCEEDED)),
    ("lose", "superseded"): lambda w: w.lose(w.into(S.RUNNING), placement=OTHER),
    ("lose", "gone"): lambda w: w.lose(NOBODY),
    ("stop", "stopping"): lambda w: w.stop(w.into(S.RUNNING)),
    ("stop", "cancelled"): lambda w: w.stop(w.into(S.SCHEDULED), "cancelled"),
    ("stop", "unplaced"): lambda w: w.stop(w.into(S.SCHEDULED), "unplaced"),
    ("stop", "weaker"): _stop_twice,
    ("stop", "superseded"): lambda w: w.stop(w.into(S.RUNNING), placement=OTHER),
    ("stop", "gone"): lambda w: w.stop(NOBODY),
    ("stop", "ended"): lambda w: w.stop(w.into(S.SUCCEEDED)),
    ("renumber", "done"): lambda w: w.apply(m.Renumber(GROUP, "new")),
    ("renumber", "already"): lambda w: (
        w.apply(m.Renumber(GROUP, "new")),
        w.apply(m.Renumber(GROUP, "new")),
    ),
    ("kill", "done"): lambda w: _kill(w, 1),
    ("kill", "already"): lambda w: _kill(w, 2),
    ("finish", "done"): lambda w: _ended(w, S.RUNNING, S.RETRYING),
    ("finish", "alive"): lambda w: w.finish(w.into(S.RUNNING)),
    ("finish", "superseded"): lambda w: _ended(w, S.RUNNING, placement=OTHER),
    ("finish", "gone"): lambda w: w.finish(NOBODY),
    ("finish", "stale"): lambda w: w.finish(w.into(S.SUCCEEDED)),
    ("settle", "done"): lambda w: w.settle(w.into(S.RETRYING), "requeue"),
    ("settle", "waits"): lambda w: w.settle(w.into(S.PENDING), "release"),
    ("settle", "stale"): lambda w: w.settle(w.into(S.RUNNING), "expire"),
    ("settle", "gone"): lambda w: w.settle(NOBODY, "expire"),
    ("resolve", "more"): lambda w: _resolve(w, 1),
    ("resolve", "done"): lambda w: _resolve(w, 2),
    ("admit", "done"): lambda w: w.admit("a2"),
    ("admit", "already"): _admit_again,
    ("answer", "done"): lambda w: _answer(w, 1),
    ("answer", "already"): lambda w: _answer(w, 2),
    ("mark", "done"): _mark,
    ("mark", "already"): lambda w: _mark(w, status="ready"),
    ("mark", "superseded"): lambda w: _mark(w, boot=OTHER),
    ("mark", "gone"): lambda w: _mark(w, agent="a2"),
    ("note", "done"): lambda w: w.apply(
        m.Note(GROUP, "r", "{}"), m.Note(GROUP, "r", ""), m.Note(GROUP, "s", "{}")
    ),
    ("count", "done"): lambda w: w.apply(m.Count(GROUP, Tally(placed=3).as_fields())),
    ("keep", "done"): lambda w: w.apply(m.Keep(GROUP, "roundrobin", '{"last":{}}')),
    ("positions", "done"): lambda w: w.apply(m.Positions(GROUP, f"5 fifo\n{NOBODY}")),
    ("compare", "done"): lambda w: w.apply(m.Compare(GROUP, '{"counts":{}}')),
    ("reach", "done"): lambda w: w.apply(m.Reach(GROUP, '[{"cpu":1000}]', "", "")),
    ("tell", "done"): lambda w: w.apply(m.Tell(GROUP, "agents.storm", "3 fell silent")),
}

CASES: Mapping[tuple[str, str], Case] = {
    **SESSIONS,
    **OTHERS,
    **graph_words.GRAPHS,
    **KEYS,
    **OFFICES,
    **JOBS,
    **SCHEMA,
    **TIME,
    **CALLBACKS,
    **SUBSCRIBERS,
    **{(f"move/{verb}", word): case for (verb, word), case in MOVES.items()},
}


def reach(world: World, case: Case) -> None:
    """Run a case; that its words become our errors is tested elsewhere."""
    with suppress(SchedulerError):
        case(world)


#: A repeat, as after a lost answer, changes nothing and says the same word; for these, another.
REPEATS: Mapping[tuple[str, str], str] = {
    **SCHEMA_REPEATED,
    **REPEATS_OF_CALLBACKS,
    **REPEATS_OF_SUBSCRIBERS,
    **REPEATS_OF_TIME,
    **graph_words.REPEATS,
    ("session/cancel", "cancelled"): "ended",
    ("session/depend", "loaded"): "loaded",
    ("session/priority", "changed"): "already",
    ("session/handoff", "handed"): "already",
    ("agent/drain", "done"): "already",
    ("agent/remove", "done"): "gone",
    ("group/set", "created"): "unchanged",
    ("group/set", "changed"): "unchanged",
    **KEYS_REPEATED,
    ("group/pause", "paused"): "already",
    ("group/pause", "resumed"): "already",
    ("group/delete", "deleted"): "unknown_group",
    ("office/delete", "deleted"): "unknown_office",
    ("leader/resign", "resigned"): "deposed",
    ("leader/unseat", "unseated"): "changed",
    ("move/place", "placed"): "already",
    ("move/claim", "done"): "already",
    ("move/up", "done"): "already",
    ("move/over", "done"): "already",
    ("move/advance", "done"): "stale",
    ("move/lose", "done"): "already",
    ("move/resolve", "more"): "done",
    ("move/stop", "stopping"): "weaker",
    ("move/stop", "cancelled"): "ended",
    ("move/stop", "unplaced"): "superseded",
    ("move/kill", "done"): "already",
    ("move/renumber", "done"): "already",
    ("move/finish", "done"): "stale",
    ("move/settle", "done"): "stale",
    ("move/admit", "done"): "already",
    ("move/answer", "done"): "already",
    ("move/mark", "done"): "already",
}

#: What a repeat may change all the same, by the names of Keys' methods, and why that is harmless.
MAY_GROW: Mapping[tuple[str, str], tuple[str, ...]] = {
    **graph_words.MAY_GROW,
    ("session/cancel", "accepted"): ("inbox",),  # it wakes the leader once more
    ("session/execute", "accepted"): ("inbox",),
    ("session/notify_failure", "told"): ("events", "counters"),
    ("agent/report", "told"): ("reports",),  # the leader's guards drop what is said twice
    ("agent/beat", "ok"): ("beat",),  # a later time
    ("agent/log", "kept"): ("log",),  # a piece may be doubled; its cap holds
    ("agent/declare_lost", "accepted"): ("inbox",),
    ("leader/ask_resign", "asked"): ("inbox",),
    ("leader/ask_profile", "asked"): ("inbox",),
    ("group/retime", "retimed"): ("inbox",),  # the leader looks at its timers once more
    ("leader/ask_process", "asked"): ("inbox",),  # the office is looked at once more
    ("leader/elect", "elected"): ("leadership", "events", "counters"),  # a higher term, said again
    ("leader/apply", "deposed"): ("leadership",),  # late writes are counted
    ("leader/place", "deposed"): ("leadership",),
    ("move/tell", "done"): ("events", "counters"),  # a moment, not a state
}

#: A repeat goes on where the first one ended, as its header says.
GOES_ON = frozenset({("move/resolve", "more"), *graph_words.GOES_ON})
