"""Events as a reader is told them: in order, without a gap, and of an office only what is its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scheduler.api.app import Access
from scheduler.api.errors import EventsGone, TooManyStreams
from scheduler.api.streams import Streams
from scheduler.api.watching import Watch
from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.clock import SystemClock
from tests.unit.api.conftest import ACCESS, Api
from tests.unit.api.test_statuses import JOBS, said


def names(watch: Watch) -> list[str]:
    return [name for name, _, _ in watch.look()]


def test_a_reader_goes_on_where_it_was(api: Api) -> None:
    """J7."""
    job = api.submit(role="dev", name="nightly")
    first = Watch(api.store, "0-0", ("job_*",), "").look()
    api.ask("POST", f"{JOBS}/{job}/cancel")
    rest = Watch(api.store, first[-1][1], ("job_*", "session.cancelled"), "").look()

    (name, _, body) = first[-1]
    assert ("job_queued", job, "acme", "dev", "nightly") == (
        name,
        *(body["fields"][field] for field in ("session", "office", "role", "title")),
    )
    assert ["session.cancelled"] == [name for name, _, _ in rest]


def test_the_reader_of_an_office_sees_what_is_its_own(api: Api) -> None:
    theirs, mine = api.submit("globex"), api.submit()
    api.world.submit()
    api.store.offices.change("globex", {"max_retries": 1})
    api.store.offices.change("acme", {"max_concurrent_jobs": 1})
    found = Watch(api.store, "0-0", ("*",), "acme").look()

    assert {mine} == {body["fields"].get("session", mine) for _, _, body in found}
    assert {"session.ready", "office.changed"} <= {name for name, _, _ in found}
    assert theirs not in str(found)
    assert "globex" not in str(found)


def test_who_comes_back_too_late_is_told(api: Api) -> None:
    api.submit()
    first = api.store.events.oldest_id()
    for _ in range(3):
        api.submit()
    api.store.client.xtrim(api.store.keys.events(), maxlen=1, approximate=False)

    answer = api.ask("GET", "/api/events", headers={"Last-Event-ID": first})

    assert f"Events after {first} are not on record any more" in said(answer, 410)
    assert "is not of the form EPOCH-SEQ" in said(
        api.ask("GET", "/api/events", headers={"Last-Event-ID": "yesterday"}), 422
    )


def test_a_reader_that_is_overtaken_is_told(api: Api) -> None:
    api.submit()
    watch = Watch(api.store, "0-0", ("*",), "")
    watch.look()
    for _ in range(3):
        api.submit()
    api.store.client.xtrim(api.store.keys.events(), maxlen=1, approximate=False)

    with pytest.raises(EventsGone):
        watch.look()


def test_a_reader_for_whom_nothing_is_moves_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.api.watching._LAG", 2)
    watch = Watch(api.store, "0-0", ("agent.lost",), "")
    for _ in range(2):
        api.submit()

    assert [] == names(watch) + names(watch)
    assert (True, api.store.events.last_id()) == (watch.moved, watch.told())
    assert not watch.moved


@pytest.mark.parametrize("access", [replace(ACCESS, streams=1)])
def test_so_many_streams_are_open_and_no_more(api: Api, access: Access) -> None:
    streams: Streams = api.app.state.streams
    with streams.taken(ApiKey("k1", Role.VIEWER)):
        answer: Any = api.ask("GET", "/api/events")
        assert f"are {access.streams} streams open" in said(answer, 503)
        assert "10" == answer.headers["retry-after"]
        job = api.submit()
        assert 503 == api.ask("GET", f"{JOBS}/{job}/logs?follow=true").status_code

    assert 0 == streams.open


def test_one_key_takes_its_share_of_the_streams_and_no_more(api: Api, access: Access) -> None:
    """Else it could take all of them from everybody."""
    streams: Streams = api.app.state.streams
    mine = api.store.api_keys.read(api.key("viewer", "acme").split("_")[1])
    assert mine is not None
    job = api.submit()
    with streams.taken(mine.key), streams.taken(mine.key):
        for path in ("/api/events", f"{JOBS}/{job}/logs?follow=true"):
            answer: Any = api.ask("GET", path, by="viewer acme")
            assert f"{mine.key.id} has {access.streams_per_key} streams open" in said(answer, 429)
            assert "10" == answer.headers["retry-after"]
        streams.taken(ApiKey("k1", Role.VIEWER)).give_back()
    streams.taken(mine.key).give_back()

    assert 0 == streams.open


def test_what_stops_opens_no_stream() -> None:
    async def stopped() -> None:
        streams = Streams(1, 1, SystemClock(), lambda _: None)
        streams.stop()
        with pytest.raises(TooManyStreams):
            streams.taken(ApiKey("k1", Role.VIEWER))

    asyncio.run(stopped())
