"""Dependencies: unmet counts, seals, cascades and retries, in bounded steps."""

from __future__ import annotations

import pytest

from scheduler.bootstrap import open_store
from scheduler.domain.errors import DependencyNotFound
from scheduler.domain.spec import SessionSpec
from scheduler.operations import forgetting
from scheduler.settings import load
from scheduler.store import precheck
from tests.unit.store.lives import GROUP, NOBODY, S, World, contents
from tests.unit.store.words import run


def many(world: World, count: int, **asked: object) -> list[str]:
    spec = SessionSpec(callable="jobs:noop", **asked)  # type: ignore[arg-type]
    return list(map(str, world.sessions.submit([spec] * count)))


def fail(world: World, session: str) -> None:
    world.place(session)
    world.start(session)
    world.end(session, S.FAILED)


def succeed(world: World, session: str) -> None:
    world.place(session)
    world.start(session)
    world.end(session)


def test_a_session_waits_for_the_last_of_its_parents(world: World) -> None:
    """J1."""
    first, second = many(world, 2)
    child = world.submit(depends_on=[first, second, first])
    assert (S.PENDING, 2) == (world.state(child), world.get(child).unmet)

    succeed(world, first)
    world.resolve_all()
    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)
    succeed(world, second)
    world.resolve_all()

    assert (S.READY, 0) == (world.state(child), world.get(child).unmet)
    assert {first: "met", second: "met"} == world.sessions.parents(child)


def test_five_hundred_parents_are_loaded_before_the_seal(world: World) -> None:
    parents = many(world, 500)

    child = world.submit(depends_on=parents)

    data = world.get(child)
    assert (S.PENDING, 500, False) == (data.state, data.unmet, data.unsealed)
    assert set(parents) == set(world.sessions.parents(child))


def test_five_hundred_met_parents_release_at_the_seal(world: World) -> None:
    parent = world.submit()
    succeed(world, parent)
    child = world.submit_unsealed([parent])
    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)

    assert ["sealed"] == run(world, "session/depend", session=child, parents=[parent], last=1)

    assert (S.READY, 0, False) == (
        world.state(child),
        world.get(child).unmet,
        world.get(child).unsealed,
    )


@pytest.mark.parametrize("known", [201, 401])
def test_a_missing_parent_beyond_the_first_batch_writes_nothing(world: World, known: int) -> None:
    """K20."""
    parents = many(world, known)
    before = contents(world.client)

    with pytest.raises(DependencyNotFound, match=NOBODY):
        world.submit(depends_on=[*parents, NOBODY])

    assert before == contents(world.client)


def test_a_parent_that_is_forgotten_meanwhile_cancels_what_was_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would ever seal it."""
    parents = many(world, 201)
    monkeypatch.setattr(precheck, "refusal", lambda *_: None)

    with pytest.raises(DependencyNotFound, match=NOBODY):
        world.submit(depends_on=[*parents, NOBODY])

    assert 1 == world.sessions.counts(GROUP)[S.CANCELLED]


def test_a_missing_parent_within_the_first_batch_writes_nothing(world: World) -> None:
    parent = world.submit()
    before = contents(world.client)

    with pytest.raises(DependencyNotFound, match=NOBODY):
        world.sessions.submit(
            [SessionSpec(callable="a:b"), SessionSpec(callable="a:b", depends_on=[parent, NOBODY])]
        )

    assert before == contents(world.client)


def test_a_repeated_batch_of_parents_counts_once(world: World) -> None:
    parents = many(world, 3)
    child = world.submit_unsealed(parents[:1])
    for _ in range(2):
        run(world, "session/depend", session=child, parents=parents, last=0)

    assert 4 == world.get(child).unmet


@pytest.mark.parametrize("state", [S.FAILED, S.TIMED_OUT, S.CANCELLED])
def test_a_parent_that_already_failed_cancels_its_child(world: World, state: S) -> None:
    parent = world.into(state)
    child = world.submit(depends_on=[parent])
    assert S.PENDING is world.state(child)

    world.resolve_all()

    data = world.get(child)
    assert (S.CANCELLED, f"dependency {parent} ended {state}") == (data.state, data.reason)


def test_a_parent_that_already_succeeded_is_met(world: World) -> None:
    parent = world.into(S.SUCCEEDED)

    assert S.READY is world.state(world.submit(depends_on=[parent]))


def test_a_failure_runs_down_a_chain(world: World) -> None:
    chain = [world.submit()]
    for _ in range(20):
        chain.append(world.submit(depends_on=chain[-1:]))

    fail(world, chain[0])
    world.resolve_all()

    assert [S.FAILED] + [S.CANCELLED] * 20 == [world.state(session) for session in chain]
    assert [] == world.leader.unresolved()


def test_a_thousand_dependents_are_told_in_bounded_steps(world: World) -> None:
    parent = world.submit()
    many(world, 1000, depends_on=[parent])
    succeed(world, parent)

    steps = world.resolve_all()

    assert 1000 == world.sessions.counts(GROUP)[S.READY]
    assert 5 == steps
    assert 0 == world.client.exists(world.keys.dependents(parent))


def test_a_retried_parent_takes_its_dependents_along(world: World) -> None:
    parent = world.submit()
    children = many(world, 3, depends_on=[parent])
    fail(world, parent)
    world.resolve_all()

    taken = world.sessions.retry(parent, with_dependents=1)

    assert {parent, *children} == set(taken)
    assert [S.PENDING] * 3 == [world.state(child) for child in children]
    succeed(world, parent)
    world.resolve_all()
    assert [S.READY] * 3 == [world.state(child) for child in children]


def test_a_retried_parent_takes_all_along_that_was_cancelled_below_it(world: World) -> None:
    chain = [world.submit()]
    for _ in range(20):
        chain.append(world.submit(depends_on=chain[-1:]))
    wide = many(world, 250, depends_on=[chain[3]])
    alone = world.submit(depends_on=[chain[1]])
    world.sessions.cancel(alone)
    fail(world, chain[0])
    world.resolve_all()

    taken = world.sessions.retry(chain[0], with_dependents=1)

    assert {*chain, *wide} == set(taken)
    assert S.CANCELLED is world.state(alone)
    assert [S.READY] + [S.PENDING] * 20 == [world.state(session) for session in chain]
    for session in chain:
        succeed(world, session)
        world.resolve_all()
    assert [S.SUCCEEDED] * 21 == [world.state(session) for session in chain]
    assert {S.READY} == {world.state(session) for session in wide}


@pytest.mark.parametrize("quick", [True, False])
def test_one_that_waits_for_two_branches_is_taken_along_whichever_comes_first(
    world: World, monkeypatch: pytest.MonkeyPatch, *, quick: bool
) -> None:
    """It is asked with the short branch, cancelled by a quick leader for the long one, and asked again with that."""
    if quick:
        monkeypatch.setattr(world.sessions, "_relink", lambda *_: world.resolve_all())
    root = world.submit()
    short, long = (world.submit(depends_on=[root]) for _ in range(2))
    longer = world.submit(depends_on=[long])
    join = world.submit(depends_on=[short, longer])
    fail(world, root)
    world.resolve_all()

    taken = world.sessions.retry(root, with_dependents=1)

    world.resolve_all()
    assert {root, short, long, longer, join} == set(taken)
    for session in (root, short, long, longer, join):
        succeed(world, session)
        world.resolve_all()
    assert S.SUCCEEDED is world.state(join)


def test_a_retried_parent_leaves_its_dependents_where_they_are(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    fail(world, parent)
    world.resolve_all()

    assert [parent] == world.sessions.retry(parent)
    assert S.CANCELLED is world.state(child)


def test_a_parent_retried_before_its_dependents_were_told_keeps_them(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    fail(world, parent)

    world.sessions.retry(parent)
    world.resolve(parent)
    world.resolve_all()

    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)
    succeed(world, parent)
    world.resolve_all()
    assert S.READY is world.state(child)


def test_a_retried_child_is_cancelled_again_while_its_parent_stays_failed(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    fail(world, parent)
    world.resolve_all()

    world.sessions.retry(child)
    assert S.PENDING is world.state(child)
    world.resolve_all()

    assert S.CANCELLED is world.state(child)


def test_a_retry_counts_only_what_is_unmet_now(world: World) -> None:
    first, second = many(world, 2)
    child = world.submit(depends_on=[first, second])
    world.sessions.cancel(child)
    succeed(world, first)
    world.resolve_all()

    world.sessions.retry(child)

    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)
    succeed(world, second)
    world.resolve_all()
    assert (S.READY, 0) == (world.state(child), world.get(child).unmet)


def test_a_retry_does_not_break_a_seal(world: World) -> None:
    """Dependencies never loaded: it must not run without them, nor count below zero."""
    child = world.submit_unsealed()
    world.sessions.cancel(child)

    world.sessions.retry(child)

    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)
    parent = world.submit()
    run(world, "session/depend", session=child, parents=[parent], last=1)
    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)


def test_a_cancelled_child_is_not_woken_by_its_parents(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    world.sessions.cancel(child)

    succeed(world, parent)
    world.resolve_all()

    assert S.CANCELLED is world.state(child)


def test_a_forgotten_child_does_not_come_back(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    world.sessions.cancel(child)
    assert [child] == world.forget(S.CANCELLED, 2**45)

    fail(world, parent)
    world.resolve_all()

    assert 0 == world.client.exists(world.keys.session(child), world.keys.parents(child))


def test_a_parent_is_kept_while_others_wait_for_it(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    fail(world, parent)

    assert [] == world.forget(S.FAILED, 2**45)
    world.resolve_all()
    assert [parent] == world.forget(S.FAILED, 2**45)
    assert S.CANCELLED is world.state(child)


def test_a_forgotten_parent_that_had_succeeded_stays_met_at_a_retry(world: World) -> None:
    parent = world.into(S.SUCCEEDED)
    child = world.submit(depends_on=[parent])
    world.forget(S.SUCCEEDED, 2**45)
    world.sessions.cancel(child)

    world.sessions.retry(child)

    assert S.READY is world.state(child)
    assert {parent: "met"} == world.sessions.parents(child)


def test_dependents_in_another_group_are_told(world: World) -> None:
    world.groups.configure("g2", {})
    parent = world.submit()
    child = world.submit(group="g2", depends_on=[parent])

    succeed(world, parent)
    world.resolve_all()

    assert [child] == world.sessions.list_ids("g2", S.READY, limit=10)


def test_hundreds_that_are_kept_do_not_keep_the_retention_from_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J6: they are the oldest, and each step looks at some of the oldest."""
    monkeypatch.setattr(forgetting, "_PER_STEP", 2)
    store = open_store(load(namespace=world.keys.root), world.client)
    kept = [world.submit() for _ in range(5)]
    for parent in kept:
        world.submit(depends_on=[parent])
        fail(world, parent)
    over = [world.into(S.FAILED) for _ in range(3)] + [world.into(S.CANCELLED) for _ in range(5)]

    assert len(over) == sum(forgetting.forget_ended(store, GROUP, 2**45))

    assert set(kept) == set(world.sessions.list_ids(GROUP, S.FAILED, limit=100))
    assert [] == world.sessions.list_ids(GROUP, S.CANCELLED, limit=100)
    assert 0 == forgetting.forget_some(store, GROUP, 2**45)
    world.resolve_all()
    # What was cancelled for them is over now, too.
    assert 2 * len(kept) == sum(forgetting.forget_ended(store, GROUP, 2**45))
