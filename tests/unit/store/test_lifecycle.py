"""Every verb from every state: what the table allows arrives, what it forbids writes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler.domain import moves as m
from scheduler.domain.clock import SystemClock
from scheduler.domain.scope import GLOBAL
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import FINAL, KERNEL_LIFE, PLACED, SESSION_LIFE
from scheduler.store import submission
from scheduler.store.script import Script
from scheduler.store.submission import Checked
from tests.unit.store.lives import FAR, GROUP, LIVE, K, S, World, contents, order_id

Attempt = Callable[[World, str], str]

REFUSALS = {
    "stale",
    "gone",
    "superseded",
    "already",
    "ended",
    "weaker",
    "wrong_state",
    "alive",
    "sealed",
}
EDGES = {edge.verb: edge for edge in SESSION_LIFE if edge.verb != "submit"}
ALLOWED = [
    (verb, S(state)) for verb in EDGES if verb != "cascade" for state in sorted(EDGES[verb].sources)
]


def seal(world: World, session: str) -> str:
    script = Script.load("session/depend")
    return str(script(world.client, world.keys.root, session=session, parents=[], last=1)[0])


def release(world: World, session: str) -> str:
    return world.settle(session, "release")


def cancel(world: World, session: str) -> str:
    if world.state(session) is S.SCHEDULED:
        return world.stop(session, "cancelled")
    return world.sessions.cancel(session)


def retry(world: World, session: str) -> str:
    script = Script.load("session/retry")
    return str(
        script(
            world.client, world.keys.root, session=session, token="t", with_dependents=0, seen=""
        )[0]
    )


ATTEMPTS: dict[str, Attempt] = {
    "seal": seal,
    "release": release,
    "refuse": lambda w, s: w.settle(s, "refuse"),
    "expire": lambda w, s: w.settle(s, "expire"),
    "place": lambda w, s: w.place(s),
    "unplace": lambda w, s: w.stop(s, "unplaced"),
    "claim": lambda w, s: w.claim(s),
    "start": lambda w, s: w.up(s),
    "stop": lambda w, s: w.stop(s, "timed_out"),
    "end": lambda w, s: w.finish(s),
    "cancel": cancel,
    "requeue": lambda w, s: w.settle(s, "requeue"),
    "rescue": lambda w, s: w.finish(s, S.READY, edge="rescue"),
    "retry": retry,
}


def prepared(world: World, verb: str, state: S) -> str:
    """A session in the state, with all that the verb wants besides."""
    if verb == "seal" and state is S.PENDING:
        return world.submit_unsealed()
    session = world.into(state)
    if verb == "release" and state is S.PENDING:
        world.reach_start_time(session)
    if verb in ("end", "rescue") and state in PLACED:
        world.kernels_over(session)
    return session


@pytest.mark.parametrize(("verb", "state"), ALLOWED)
def test_an_allowed_move_arrives_and_tells_each_change_once(
    world: World, verb: str, state: S
) -> None:
    """K11, K12."""
    session = prepared(world, verb, state)
    last = world.events.last_id()

    ATTEMPTS[verb](world, session)

    told = [event for event in world.events.since(last) if event.name.startswith("session.")]
    assert world.state(session) in EDGES[verb].targets
    assert f"session.{world.state(session).lower()}" == told[-1].name
    assert str(state) == told[0].fields["from"]
    # To ask again is two changes: PENDING, and READY where nothing is waited for.
    assert len(told) == (2 if verb == "retry" else 1)


#: A move that is another one where the state is another: it is tested as that one.
OTHERWISE = {
    ("unplace", S.PREPARING): S.TERMINATING,
    ("unplace", S.RUNNING): S.TERMINATING,
    ("cancel", S.PREPARING): S.PREPARING,
    ("cancel", S.RUNNING): S.RUNNING,
    ("cancel", S.TERMINATING): S.TERMINATING,
}


@pytest.mark.parametrize("state", S)
def test_forbidden_moves_are_refused_and_write_nothing(world: World, state: S) -> None:
    """K11."""
    session = world.into(state)
    before = contents(world.client)

    for verb, edge in EDGES.items():
        if state in edge.sources or verb == "cascade" or (verb, state) in OTHERWISE:
            continue

        assert ATTEMPTS[verb](world, session) in REFUSALS, verb
        assert before == contents(world.client), verb


@pytest.mark.parametrize(("verb", "state"), OTHERWISE)
def test_a_weaker_wish_does_not_become_the_forbidden_move(
    world: World, verb: str, state: S
) -> None:
    session = world.into(state)

    ATTEMPTS[verb](world, session)

    assert OTHERWISE[verb, state] is world.state(session)


def test_submitting_the_same_id_again_changes_nothing(world: World) -> None:
    script = Script.load("session/submit")
    spec = Checked.of(SessionSpec(callable="jobs:noop"))
    packed = submission.pack(world.keys.root, [spec], SystemClock())
    first = script.run(world.client, packed)
    before = contents(world.client)

    again = script.run(world.client, packed)

    assert first == again
    assert before == contents(world.client)


@pytest.mark.parametrize("state", S)
def test_a_failed_parent_cancels_only_what_is_pending(world: World, state: S) -> None:
    """J1: the relation is forged, so that the guard alone decides."""
    child, parent = world.into(state), world.into(S.FAILED)
    world.client.hset(world.keys.parents(child), parent, "unmet")
    world.client.sadd(world.keys.dependents(parent), child)
    before = world.record(child)

    world.resolve(parent)

    if state in EDGES["cascade"].sources:
        assert S.CANCELLED is world.state(child)
    else:
        assert before == world.record(child)


@pytest.mark.parametrize("state", PLACED)
@pytest.mark.parametrize("verb", ["end", "rescue"])
def test_a_placement_ends_only_in_the_states_of_its_table(
    world: World, verb: str, state: S
) -> None:
    edge = EDGES[verb]
    for target in S:
        session = world.into(state)
        world.kernels_over(session)

        word = world.finish(session, target, edge=verb)

        allowed = state in edge.sources and target in edge.targets
        assert (("done", target) if allowed else ("stale", state)) == (word, world.state(session))
        assert allowed is (session not in world.scopes.members(GLOBAL))


@pytest.mark.parametrize("state", PLACED)
@pytest.mark.parametrize("edge", ["end", "rescue"])
def test_nothing_ends_while_a_kernel_lives(world: World, edge: str, state: S) -> None:
    session = world.into(state)
    before = contents(world.client)

    word = world.finish(session, S.FAILED, edge=edge)

    assert word == ("stale" if (edge, state) == ("end", S.SCHEDULED) else "alive")
    assert before == contents(world.client)


# Kernels


def kernel_in(world: World, state: K) -> str:
    """A session of two kernels, whose first one is in the state."""
    session = world.submit(cluster_size=2)
    assert world.place(session) == "placed"
    if state is K.ORDERED:
        return session
    if state is K.WITHDRAWN:
        world.take(session, 1)
        world.stop(session)
        return session
    if state is K.LOST:
        world.lose(session)
        return session
    world.take(session)
    world.claim(session)
    if state in (K.UP, K.STOPPING):
        world.up(session)
    if state is K.STOPPING:
        world.stop(session)
    if state is K.ENDED:
        world.over(session)
    return session


KERNEL_ATTEMPTS: dict[str, Attempt] = {
    "claim": lambda w, s: w.claim(s),
    "up": lambda w, s: w.up(s),
    "end": lambda w, s: w.over(s),
    "lose": lambda w, s: w.lose(s),
}
KERNEL_EDGES = {edge.verb: edge for edge in KERNEL_LIFE}


@pytest.mark.parametrize("state", K)
@pytest.mark.parametrize("verb", KERNEL_ATTEMPTS)
def test_a_kernel_moves_as_its_table_says(world: World, verb: str, state: K) -> None:
    session = kernel_in(world, state)
    before = contents(world.client)
    assert state is world.get(session).kernels[0].state

    word = KERNEL_ATTEMPTS[verb](world, session)

    edge = KERNEL_EDGES[verb]
    if state in edge.sources:
        assert "done" == word
        assert edge.targets == {str(world.get(session).kernels[0].state)}
    else:
        assert "already" == word
        assert before == contents(world.client)


@pytest.mark.parametrize("state", K)
def test_a_stop_withdraws_what_was_not_claimed_and_stops_what_lives(world: World, state: K) -> None:
    session = kernel_in(world, state)
    expected = {K.ORDERED: K.WITHDRAWN, K.CLAIMED: K.STOPPING, K.UP: K.STOPPING}.get(state, state)

    world.stop(session, "cancelled")

    assert expected is world.get(session).kernels[0].state


def test_an_order_claimed_before_its_report_was_read_gets_a_stop_order(world: World) -> None:
    session = world.into(S.SCHEDULED)
    data = world.get(session)
    world.take(session)

    word = world.stop(session, "cancelled")

    assert "stopping" == word
    assert K.STOPPING is world.get(session).kernels[0].state
    assert 1 == world.get(session).attempt
    assert "mac {}" == world.mailbox().stop_order(order_id(data))


@pytest.mark.parametrize("state", LIVE)
def test_slots_come_back_once_when_a_kernel_is_over(world: World, state: K) -> None:
    """K8, K10."""
    session = kernel_in(world, state)

    world.kernels_over(session)
    world.kernels_over(session)

    agent = world.agents.get("a1")
    assert agent.capacity == agent.free


def test_what_waits_for_a_time_is_not_released_early(world: World) -> None:
    session = world.submit(not_before=FAR)

    assert "waits" == world.settle(session, "release")
    assert S.PENDING is world.state(session)


def test_every_verb_of_the_table_is_attempted() -> None:
    assert set(EDGES) == set(ATTEMPTS) | {"cascade"}
    assert {"order", "stop", "withdraw"} == set(KERNEL_EDGES) - set(KERNEL_ATTEMPTS)


def test_ended_sessions_have_a_time_and_no_timer(world: World) -> None:
    for state in sorted(FINAL):
        session = world.into(state)

        assert world.get(session).ended_at
        assert None is world.client.zscore(world.keys.timers(GROUP), session)


def test_a_batch_goes_on_after_a_refused_move(world: World) -> None:
    session = world.into(S.READY)

    words = world.apply(
        m.Settle("0" * 26, GROUP, "expire", ""), m.Settle(session, GROUP, "expire", "late")
    )

    assert ["gone", "done"] == words
