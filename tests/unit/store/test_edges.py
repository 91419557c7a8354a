"""Edges: what a parent that did not succeed means, by the policy of each."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidSpec, NotHeld, SessionNotFound, WrongState
from scheduler.domain.spec import SessionSpec
from scheduler.store.edges import edges_page
from tests.unit.store.lives import NOBODY, S, World, contents


def finish(world: World, session: str, state: S) -> None:
    if state is S.CANCELLED:
        world.sessions.cancel(session)
    else:
        assert world.place(session) == "placed"
        world.start(session)
        world.end(session, state)
    world.resolve_all()


@pytest.mark.parametrize("known", [False, True], ids=["ends later", "ended before"])
@pytest.mark.parametrize("end", [S.FAILED, S.TIMED_OUT, S.CANCELLED])
@pytest.mark.parametrize(
    ("policy", "state"), [("cancel", S.CANCELLED), ("ignore", S.READY), ("hold", S.PENDING)]
)
def test_the_edge_says_what_a_parent_without_success_means(
    world: World, policy: str, state: S, end: S, *, known: bool
) -> None:
    """J1."""
    parent = world.submit()
    if known:
        finish(world, parent, end)
    child = world.submit(depends_on={parent: policy})
    below = world.submit(depends_on=[child])
    if not known:
        finish(world, parent, end)
    world.resolve_all()

    assert state is world.state(child)
    assert (S.CANCELLED if policy == "cancel" else S.PENDING) is world.state(below)
    if policy != "ignore":
        assert f"dependency {parent} ended {end}" in world.get(child).reason


def test_what_is_held_goes_on_when_its_parent_is_retried_and_succeeds(world: World) -> None:
    """J1."""
    parent = world.submit()
    children = [world.submit(depends_on={parent: "hold"}) for _ in range(3)]
    finish(world, parent, S.FAILED)
    assert {"held hold"} == {world.sessions.parents(child)[parent] for child in children}

    world.sessions.retry(parent)
    finish(world, parent, S.FAILED)
    assert {S.PENDING} == {world.state(child) for child in children}
    world.sessions.retry(parent)
    finish(world, parent, S.SUCCEEDED)

    assert {S.READY} == {world.state(child) for child in children}
    assert 0 == world.client.exists(world.keys.held(parent))


def test_what_is_held_is_released_by_an_operator(world: World) -> None:
    """J1."""
    parents = [world.submit() for _ in range(3)]
    child = world.submit(depends_on=dict.fromkeys(parents, "hold"))
    for parent in parents[:2]:
        finish(world, parent, S.FAILED)

    assert 2 == world.sessions.release(child)
    assert (S.PENDING, 1) == (world.state(child), world.get(child).unmet)
    with pytest.raises(NotHeld):
        world.sessions.release(child)
    finish(world, parents[2], S.SUCCEEDED)

    assert (S.READY, "") == (world.state(child), world.get(child).reason)
    assert 0 == world.client.exists(*map(world.keys.held, parents))


def test_a_release_is_for_what_is_pending(world: World) -> None:
    with pytest.raises(WrongState):
        world.sessions.release(world.into(S.RUNNING))
    with pytest.raises(SessionNotFound):
        world.sessions.release(NOBODY)


def test_who_holds_others_is_kept_until_nobody_is_held(world: World) -> None:
    parent = world.submit()
    held, cancelled = [world.submit(depends_on={parent: "hold"}) for _ in range(2)]
    finish(world, parent, S.FAILED)
    world.sessions.cancel(cancelled)
    assert [] == world.forget(S.FAILED, 2**45)

    world.sessions.cancel(held)

    assert [parent] == world.forget(S.FAILED, 2**45)
    assert 0 == world.client.exists(world.keys.held(parent))


def test_a_retry_holds_again_what_was_held(world: World) -> None:
    parent = world.submit()
    child = world.submit(depends_on={parent: "hold"})
    finish(world, parent, S.FAILED)
    world.sessions.cancel(child)

    world.sessions.retry(child)
    world.resolve_all()

    assert "held hold" == world.sessions.parents(child)[parent]
    world.sessions.retry(parent)
    finish(world, parent, S.SUCCEEDED)
    assert S.READY is world.state(child)


def test_a_retry_looks_at_many_dependencies_in_pages(world: World) -> None:
    """One script may not look at a thousand."""
    parents = world.sessions.submit([SessionSpec(callable="jobs:noop")] * 1000)
    child = world.submit(depends_on=parents)
    world.sessions.cancel(child)
    world.client.delete(*map(world.keys.dependents, parents))

    world.sessions.retry(child)

    assert 1000 == world.get(child).unmet
    assert len(parents) == world.client.exists(*map(world.keys.dependents, parents))


def test_what_an_older_version_wrote_is_read(world: World) -> None:
    """An edge without a policy means cancel."""
    parent = world.submit()
    child = world.submit(depends_on=[parent])
    world.client.hset(world.keys.parents(child), parent, "unmet")
    assert (0, {parent: "unmet"}) == edges_page(world.client, world.keys, child, 0, 10)

    finish(world, parent, S.FAILED)

    assert S.CANCELLED is world.state(child)


def test_a_policy_nobody_knows_writes_nothing(world: World) -> None:
    parent = world.submit()
    before = contents(world.client)

    with pytest.raises(InvalidSpec, match="'later' is unknown; there are cancel, ignore, hold"):
        world.submit(depends_on={parent: "later"})

    assert before == contents(world.client)
