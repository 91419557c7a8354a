"""Streams that are open when their key is taken back, or expires: over a socket, from a real Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from scheduler.api.serving import ApiServer, listen
from scheduler.api.streams import Streams
from scheduler.auth.keys import ApiKeys
from scheduler.domain.errors import KeyRefused
from scheduler.domain.states import SessionState as S
from scheduler.operations.offices import delete_office
from scheduler.testing.waiting import wait_until
from tests.unit.api.conftest import Api
from tests.unit.api.test_statuses import JOBS

#: How long a stream may take to end on a machine that has much else to do, s.
DEADLINE_S = 60


@pytest.fixture
def served(api: Api) -> Iterator[str]:
    """The app's address."""
    listener = listen("127.0.0.1", 0)
    server = ApiServer(api.app, listener)
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    wait_until(lambda: server.started, within=DEADLINE_S, saying="the API never answered")
    yield server.url
    server.stop()
    thread.join()
    listener.close()


def _revoke(api: Api, key: str) -> None:
    ApiKeys(api.store.api_keys).revoke(key)


def _expire(api: Api, key: str) -> None:
    api.store.client.hset(api.store.keys.api_key(key), "expires_at", 1)


def _forget(api: Api, key: str) -> None:
    api.store.client.delete(api.store.keys.api_key(key))


def _delete_office(api: Api, key: str) -> None:
    assert key
    delete_office(api.store, "acme")


def _key(api: Api) -> tuple[str, dict[str, str]]:
    text = api.key("viewer", "acme")
    return text.split("_")[1], {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (_revoke, "API key {} was revoked"),
        (_expire, "API key {} has expired; ask for a new one"),
        (_forget, "the API key is not known here"),
        (_delete_office, "API key {} was revoked"),
    ],
)
def test_events_are_told_to_nobody_whose_key_is_taken_back(
    api: Api, served: str, end: Callable[[Api, str], None], says: str
) -> None:
    """It was looked at once, and a reader who stayed read on for ever."""
    key, headers = _key(api)
    with httpx.stream("GET", f"{served}/api/events", headers=headers, timeout=DEADLINE_S) as stream:
        assert 200 == stream.status_code
        end(api, key)
        lines = list(stream.iter_lines())

    at = lines.index("event: refused")
    detail = json.loads(lines[at + 1].removeprefix("data: "))["detail"]
    assert says.format(key) in detail
    assert 401 == httpx.get(f"{served}/api/events", headers=headers).status_code
    assert 0 == api.app.state.streams.open


def test_a_log_is_cut_off_for_whom_the_key_is_taken_back(api: Api, served: str) -> None:
    """An answer that ended well would look like the end of the job."""
    key, headers = _key(api)
    job = api.submit()
    api.world.place(job)
    api.world.start(job)
    assert api.store.sessions.get(job).state is S.RUNNING

    url = f"{served}{JOBS}/{job}/logs?follow=true"
    with httpx.stream("GET", url, headers=headers, timeout=DEADLINE_S) as stream:
        assert 200 == stream.status_code
        _revoke(api, key)
        with pytest.raises(httpx.RemoteProtocolError):
            stream.read()

    streams: Streams = api.app.state.streams
    wait_until(lambda: streams.open == 0, within=DEADLINE_S, saying="the stream stays open")


def test_the_streams_of_other_keys_go_on(api: Api, served: str) -> None:
    key, headers = _key(api)
    others = {"Authorization": f"Bearer {api.key('viewer', 'globex')}"}
    with (
        httpx.stream("GET", f"{served}/api/events", headers=others, timeout=DEADLINE_S) as other,
        httpx.stream("GET", f"{served}/api/events", headers=headers, timeout=DEADLINE_S) as mine,
    ):
        _revoke(api, key)
        mine.read()
        job = api.submit("globex")
        told = next(line for line in other.iter_lines() if line.startswith("data: "))

    assert job in told


def test_a_key_that_was_recognised_is_looked_at_again(api: Api) -> None:
    keys = ApiKeys(api.store.api_keys)
    _, key = keys.create("viewer")
    keys.check(key)
    keys.revoke(key.id)

    with pytest.raises(KeyRefused):
        keys.check(key)
