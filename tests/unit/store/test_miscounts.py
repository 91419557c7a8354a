"""What scopes count is put right, exactly, while sessions move beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.states import SessionState as S
from scheduler.store import miscounts
from scheduler.store.counting import Count, count_anew
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.script import Script
from tests.unit.store.graph_words import DIAMOND, Loader, graph_of
from tests.unit.store.lives import GROUP, World

USER = Scope("user", "u")


def waiting(world: World) -> tuple[int, dict[str, int]]:
    use = world.scopes.read([USER])[USER]
    return use.pending, dict(use.pending_slots)


def mended(world: World) -> list[str]:
    found = ScopeCounts(world.client, world.keys).mend()
    assert found is not None, "it was disturbed all the time"
    return [wrong.says for wrong in found]


def _lost_request(world: World, session: str) -> None:
    world.client.delete(world.keys.request(world.get(session).request.id))
    world.sessions.cancel(session)


def _lost_record(world: World, session: str) -> None:
    world.client.delete(world.keys.session(session))
    world.client.zrem(world.keys.state(GROUP, S.READY), session)


@pytest.mark.parametrize("lose", [_lost_request, _lost_record])
def test_what_a_lost_session_counted_is_given_back(
    world: World, lose: Callable[[World, str], None]
) -> None:
    """Until then the scope is as full as if it still waited."""
    scopes = {"user": "u"}
    world.scopes.limit(USER, ScopeLimits(max_pending_sessions=2))
    lost = world.submit(scopes=scopes, slots={"cpu": "2"})
    world.submit(scopes=scopes, slots={"cpu": "3"})

    lose(world, lost)

    before = waiting(world)
    says = mended(world)
    assert (2, {"cpu": 5000}) == before
    assert (1, {"cpu": 3000}) == waiting(world)
    assert "scope user u counts pending 2, there are 1" in says
    assert "scope user u counts pending:cpu 5000, there are 3000" in says
    assert [] == mended(world)


def test_it_is_put_right_while_sessions_come_go_and_change_hands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something happens before each of the first twenty reads and writes of it."""
    lost = world.submit(scopes={"user": "u"})
    _lost_request(world, lost)
    first = [world.submit(scopes={"user": "u"}) for _ in range(30)]
    left = 20

    def stir() -> None:
        nonlocal left
        if left:
            left -= 1
            world.submit(scopes={"user": "u"})
            world.sessions.cancel(first[left])
            if left > 15:
                world.place(first[29 - left])
            if left % 5 == 0:
                Loader(world, graph_of(DIAMOND, job={"scopes": {"user": "u"}})).loaded()

    for kind, name in ((Count, "_read"), (Count, "_since"), (ScopeCounts, "_write")):
        _before(monkeypatch, kind, name, stir)
    says = mended(world)

    monkeypatch.undo()
    assert 0 == left
    assert any("scope user u counts pending " in each for each in says)
    counted = count_anew(world.client, world.keys)
    assert {"pending": waiting(world)[0]}.items() <= counted.fields[USER].items()
    assert [] == mended(world)


def _before(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, act: Callable[[], object]
) -> None:
    read = getattr(kind, name)

    def method(*args: Any, **kwargs: Any) -> Any:
        act()
        return read(*args, **kwargs)

    monkeypatch.setattr(kind, name, method)


def test_a_count_whose_events_were_trimmed_begins_anew(world: World) -> None:
    count = Count(world.client, world.keys)
    count.catch_up()
    world.submit(scopes={"user": "u"})
    world.client.xtrim(world.keys.events(), maxlen=0)
    world.submit(scopes={"user": "u"})

    assert 2 == count.catch_up().fields[USER]["pending"]


def test_jobs_of_a_graph_that_is_being_loaded_count(world: World) -> None:
    """No event tells of them before they are seen."""
    count = Count(world.client, world.keys)
    count.catch_up()
    loader = Loader(world, graph_of(DIAMOND, job={"scopes": {"user": "u"}})).loaded()

    loaded = dict(count.catch_up().fields[USER])
    loader.discard()

    assert 4 == loaded["pending"]
    assert 0 == count.catch_up().fields[USER]["pending"]


def test_nothing_is_written_where_something_happens_each_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lost_request(world, world.submit(scopes={"user": "u"}))
    before = waiting(world)
    run = Script.run

    def disturbed(script: Script, *arguments: Any) -> Any:
        if script.name == "scope/count":
            world.submit()
        return run(script, *arguments)

    monkeypatch.setattr(Script, "run", disturbed)
    monkeypatch.setattr(miscounts, "TRIES", 3)

    assert ScopeCounts(world.client, world.keys).mend() is None
    assert before == waiting(world)


@pytest.mark.parametrize(
    "held",
    [
        "",
        "no",
        "[]",
        "{}",
        '{"scopes":5,"slots":{}}',
        '{"scopes":[["a"]],"slots":{"cpu":"x"}}',
        "[7]",
    ],
)
def test_a_charge_that_makes_no_sense_stops_nobody(world: World, held: str) -> None:
    """As scripts have it, which take it for none."""
    session = world.into(S.RUNNING, scopes={"user": "u"})
    world.client.hset(world.keys.session(session), "held", held)
    world.client.delete(world.keys.request(world.get(session).request.id))

    assert "scope user u counts slots:cpu 1000, there are 0" in mended(world)


def test_where_events_are_trimmed_at_once_it_gives_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lost_request(world, world.submit(scopes={"user": "u"}))

    def trimmed() -> None:
        world.submit()
        world.client.xtrim(world.keys.events(), maxlen=0)

    _before(monkeypatch, Count, "_since", lambda: None)
    _before(monkeypatch, Count, "_read", trimmed)

    assert ScopeCounts(world.client, world.keys).mend() is None
