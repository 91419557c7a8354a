"""``scheduler events``."""

from __future__ import annotations

import json
import threading

import pytest

from scheduler.domain import moves as m
from scheduler.domain.office import office_scopes
from scheduler.domain.states import SessionState as S
from scheduler.operations.following import EventReader
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World


def test_the_newest_events_come_last(world: World, run: Run) -> None:
    session = world.submit(name="x")

    table, document = run("events", "--limit", "1"), run("events", "-o", "json")

    assert ["session.ready", f"session={session}"] == table.rows[0][2:4]
    assert table.rows[0][1].endswith("Z")
    assert "session.ready" == document.json[-1]["name"]
    assert [event["seq"] for event in document.json] == list(range(1, len(document.json) + 1))


def test_events_go_on_after_an_id(world: World, run: Run) -> None:
    last = world.events.last_id()
    first, second = world.submit(), world.submit()

    said = run("events", "--since", last, "-o", "json")

    assert [first, second] == [event["fields"]["session"] for event in said.json]


def test_only_events_that_are_asked_for_are_shown(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far back as they are kept, however many others came since."""
    monkeypatch.setattr("scheduler.cli.events._PAGE", 2)
    world.office("acme")
    job = world.into(S.FAILED, scopes=office_scopes("acme", ""))
    for _ in range(5):
        world.submit()

    def shown(*asked: str) -> list[tuple[str, str]]:
        said = run("events", *asked, "-o", "json")
        return [(event["name"], event["fields"].get("session", "")) for event in said.json]

    of_job = shown("--session", job)

    assert [("session.ready", job), ("session.failed", job)] == [of_job[0], of_job[-1]]
    assert of_job == [event for event in shown() if event[1] == job]
    assert [("job_failed", job)] == shown("--event", "job_failed", "--event", "agent.lost")
    assert of_job[-2:] == shown("--event", "session.*", "--office", "acme", "--limit", "2")
    assert of_job[:2] == shown("--session", job, "--since", "0-0", "--limit", "2")


def test_the_beginning_is_whatever_is_kept(world: World, run: Run) -> None:
    _trim(world, keep=2)

    said = run("events", "--since", "0-0", "-o", "json")

    assert (0, 2) == (said.code, len(said.json))


def test_a_gap_is_told_with_the_oldest_id(world: World, run: Run) -> None:
    since = world.events.oldest_id()
    _trim(world, keep=1)

    said = run("events", "--since", since)

    assert (4, "") == (said.code, said.out)
    assert (
        f"Events after {since} are no longer kept, the oldest is {world.events.oldest_id()};"
        " use --from-oldest.\n"
    ) == said.err


def test_a_reader_that_is_ahead_of_what_redis_kept_is_told(world: World, run: Run) -> None:
    """A failover lost what it read last; numbers begin anew so that none is given twice."""
    since = world.events.last_id()
    epoch, seq = since.split("-")
    ahead = f"{epoch}-{int(seq) + 5}"
    world.apply(m.Renumber("default", "another"))

    level, told = (run("events", "--since", each, "-o", "json") for each in (since, ahead))

    assert (0, ["epoch.began"]) == (level.code, [event["name"] for event in level.json])
    assert (4, 1) == (told.code, told.err.count("\n"))
    assert f"Redis lost events in a failover: some up to {ahead}" in told.err


def test_a_gap_may_be_accepted(world: World, run: Run) -> None:
    since = world.events.oldest_id()
    _trim(world, keep=1)

    said = run("events", "--since", since, "--from-oldest", "-o", "json")

    assert (0, [world.events.oldest_id()]) == (said.code, [event["id"] for event in said.json])
    assert "are no longer kept" in said.err


@pytest.mark.parametrize("event_id", ["yesterday", "1", "1-", "-1"])
def test_an_id_that_is_none_is_wrong_usage(world: World, run: Run, event_id: str) -> None:
    _ = world

    said = run("events", f"--since={event_id}")

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))


def test_following_goes_on_until_interrupted(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    wait = EventReader.wait

    def interrupted(reader: EventReader, limit: int = 1000) -> object:
        if looked.is_set():
            raise KeyboardInterrupt
        looked.set()
        world.submit(name="later")
        return wait(reader, limit)

    monkeypatch.setattr(EventReader, "wait", interrupted)
    world.submit()

    said = run("events", "--follow", "--limit", "1", "-o", "json")

    assert (130, "Interrupted.\n") == (said.code, said.err)
    assert ["session.ready"] * 2 == [json.loads(line)["name"] for line in said.out.splitlines()]


def test_a_reader_that_falls_behind_while_following_is_told(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = EventReader.wait

    def overtaken(reader: EventReader, limit: int = 1000) -> object:
        for _ in range(3):
            world.submit()
        _trim(world, keep=1)
        return wait(reader, limit)

    monkeypatch.setattr(EventReader, "wait", overtaken)

    said = run("events", "--follow", "--limit", "1")

    assert 4 == said.code
    assert "are no longer kept" in said.err


def _trim(world: World, *, keep: int) -> None:
    world.client.xtrim(world.keys.events(), maxlen=keep, approximate=False)
