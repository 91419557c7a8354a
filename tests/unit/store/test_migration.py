"""Data of layout 1, in which nobody counted slots or what waits, is brought up to date before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.domain.errors import MigrationRefused, SchemaTooOld
from scheduler.domain.scope import GLOBAL, Scope, ScopeUse
from scheduler.store import counting_anew, migration, schema
from scheduler.store.counting import count_anew
from scheduler.store.migration import Means
from scheduler.store.script import Script
from tests.unit.store.lives import GROUP, S, World, contents

SCOPES = (GLOBAL, Scope("keypair", "k: 1"), Scope("user", "u"), Scope("private", "p"))
VERSIONS = (1, schema.VERSION)


@pytest.fixture
def old(world: World) -> World:
    """Sessions in every state, as layout 1 kept them, and nobody who leads."""
    for state in S:
        world.into(state, keypair="k: 1", slots={"cpu": "500m", "mem": "1GiB"})
    for _ in range(3):
        world.into(S.RUNNING, scopes={"user": "u"}, cluster_size=2)
        world.into(S.READY, keypair="p", private=True)
    world.client.hset(world.keys.schema(), "version", 1)
    world.client.delete(world.keys.lock(GROUP))
    return world


def degrade(world: World) -> None:
    """Without counters, and with scopes only in what a session holds."""
    world.client.delete(world.keys.scope_use())
    for key in world.client.scan_iter(world.keys.session("*")):
        if world.client.type(key) == "hash" and (held := world.client.hget(key, "held")):
            world.client.hset(key, "held", json.dumps(json.loads(held)["scopes"]))


def prepare(world: World) -> None:
    schema.prepare(world.client, world.keys, events_cap=1000)


def uses(world: World) -> dict[Scope, ScopeUse]:
    return world.scopes.read(SCOPES)


def within(world: World) -> dict[str, Any]:
    """All but what a start writes anyway."""
    return contents(world.client, without=[world.keys.schema(), world.keys.counters()])


def test_what_is_counted_is_what_would_have_been_counted(old: World) -> None:
    before = within(old)
    degrade(old)
    assert before != within(old)

    prepare(old)

    assert before == within(old)
    assert str(schema.VERSION) == old.client.hget(old.keys.schema(), "version")
    assert "1000" == old.client.hget(old.keys.counters(), "events_cap")


def test_what_was_running_gives_back_what_it_holds_afterwards(old: World) -> None:
    degrade(old)
    prepare(old)
    old.leader = old.lead()

    for state in (S.RUNNING, S.TERMINATING, S.PREPARING, S.SCHEDULED):
        for session in old.sessions.list_ids(GROUP, state, limit=100):
            old.kernels_over(session)
            old.finish(session, S.FAILED, edge="rescue")
    for state in (S.READY, S.PENDING, S.RETRYING):
        for session in old.sessions.list_ids(GROUP, state, limit=100):
            old.sessions.cancel(session)

    assert [ScopeUse()] * len(SCOPES) == list(uses(old).values())


def test_a_placed_session_whose_request_is_lost_keeps_its_scopes(old: World) -> None:
    [session] = old.sessions.list_ids(GROUP, S.SCHEDULED, limit=1)
    degrade(old)
    old.client.delete(old.keys.request(old.get(session).request.id))

    prepare(old)

    old.leader = old.lead()
    old.lose(session)
    assert "done" == old.finish(session, S.FAILED, edge="rescue")
    assert session not in old.scopes.members(GLOBAL)


@pytest.mark.parametrize("broken_off_after", [1, 2, 3, 4])
def test_it_may_be_broken_off_anywhere_and_begun_again(
    old: World, monkeypatch: pytest.MonkeyPatch, broken_off_after: int
) -> None:
    """Meanwhile sessions move, by whoever still writes the older layout."""
    monkeypatch.setattr(counting_anew, "_PAGE", 2)
    degrade(old)
    run, calls = Script.run, 0

    def killed(script: Script, *arguments: Any) -> Any:
        nonlocal calls
        calls += script.name == "schema/rebuild"
        if calls > broken_off_after:
            raise KeyboardInterrupt
        return run(script, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Script, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(old)
    assert "1" == old.client.hget(old.keys.schema(), "version")
    for session in old.sessions.list_ids(GROUP, S.READY, limit=100):
        old.sessions.cancel(session)
    expected = {Scope("private", "p"): ScopeUse()}

    prepare(old)

    assert expected.items() <= uses(old).items()
    assert Scope("private", "p") not in old.scopes.counting()


def test_two_replicas_may_do_it_at_once(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = within(old)
    degrade(old)
    count = count_anew

    def beside(*arguments: Any) -> Any:
        counted = count(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(counting_anew, "count_anew", count)
            prepare(old)
        return counted

    monkeypatch.setattr(counting_anew, "count_anew", beside)
    prepare(old)

    assert before == within(old)


def _leads(world: World) -> None:
    world.lead()


def _submits(world: World) -> None:
    world.submit()


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (_leads, "a replica of an older version leads group default; stop all that are older"),
        (_submits, "something still writes to it; stop all replicas and apps of the older version"),
    ],
)
def test_beside_an_older_program_it_is_refused_with_a_sentence(
    old: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[World], None], says: str
) -> None:
    degrade(old)
    count = count_anew
    pauses: list[float] = []

    def stirred(*arguments: Any) -> Any:
        counted = count(*arguments)
        act(old)
        return counted

    monkeypatch.setattr(counting_anew, "count_anew", stirred)
    with pytest.raises(MigrationRefused, match=says):
        migration.bring_up_to_date(old.client, old.keys, VERSIONS, Means(pauses.append))

    assert "1" == old.client.hget(old.keys.schema(), "version")
    assert migration.TRIES - 1 == len(pauses)


def test_a_leader_that_was_killed_is_waited_for(old: World) -> None:
    before = within(old)
    degrade(old)
    old.client.set(old.keys.lock(GROUP), "killed")

    migration.bring_up_to_date(
        old.client, old.keys, VERSIONS, Means(lambda _: old.client.delete(old.keys.lock(GROUP)))
    )

    assert before == within(old)


def test_apps_wait_for_a_replica_to_bring_it_up_to_date(old: World) -> None:
    degrade(old)
    with pytest.raises(
        SchemaTooOld, match="has layout 1, and 4 is needed: run `scheduler migrate`"
    ):
        schema.check_version(old.client, old.keys)

    prepare(old)
    schema.check_version(old.client, old.keys)


def test_an_empty_namespace_of_layout_1_is_brought_up_to_date(world: World) -> None:
    world.client.delete(world.keys.lock(GROUP))
    world.client.hset(world.keys.schema(), "version", 1)

    prepare(world)

    assert str(schema.VERSION) == world.client.hget(world.keys.schema(), "version")
