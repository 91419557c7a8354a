"""The app against its own document: schemathesis asks what the document allows and what it forbids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
import redis
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from starlette.types import Receive, Scope, Send

from scheduler.api.app import Access, create_app
from scheduler.api.models.common import PRINTABLE_WORD
from scheduler.api.models.offices import LONGEST_MS
from scheduler.api.routes.events import EVENT_ID
from scheduler.api.routing import GRAPH_PATTERN, JOB_PATTERN, NAME_PATTERN
from scheduler.api.streams import Streams
from scheduler.auth.keys import ApiKeys
from scheduler.bootstrap import Store, open_store
from scheduler.domain.graph import graph_from
from scheduler.domain.ids import SessionId
from scheduler.domain.job import LATEST_MS
from scheduler.domain.office import office_scopes
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.spec import SessionSpec
from scheduler.operations.graphs import submit_graph
from scheduler.operations.submission import submit_sessions
from scheduler.settings import Settings, load
from scheduler.store.embedded import EmbeddedRedis

pytestmark = pytest.mark.integration

#: By hand: SCHEMATHESIS_EXAMPLES=300 scripts/test tests/integration/api/test_schemathesis.py
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "4"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), options={"appendonly": "no"}).start()
    yield server
    server.kill()


@pytest.fixture
def store(server: EmbeddedRedis) -> Iterator[Store]:
    """A namespace with a group and two offices."""
    client = redis.Redis.from_url(server.url, decode_responses=True)
    store = open_store(load(namespace=f"t{uuid4().hex[:8]}"), client)
    store.groups.configure("default", {})
    for name in ("acme", "doomed"):
        store.offices.create(name, {"roles": ["dev"]})
    yield store
    client.close()


@pytest.fixture
def jobs(store: Store) -> list[SessionId]:
    """Jobs of an office, of which some have ended."""
    scopes = office_scopes("acme", "dev")
    found = submit_sessions(store, [SessionSpec(command=["true"], scopes=scopes)] * 4)
    for job in found[2:]:
        store.sessions.cancel(job)
    return found


@pytest.fixture
def graph(store: Store) -> str:
    """A graph of an office."""
    jobs = [{"name": "a", "command": ["true"]}, {"name": "b", "command": ["true"], "needs": ["a"]}]
    return submit_graph(store, graph_from({"office": "acme", "jobs": jobs})).id


class _App:
    """The app of the test that runs; the document is read before there is one."""

    now: FastAPI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.now(scope, receive, send)


ACCESS = Access(rate="1000000/second", body_limit=4_194_304, streams=100, streams_per_key=100)
app = _App()
document = schemathesis.openapi.from_dict(create_app(open_store(Settings()), ACCESS).openapi())
document.app = app


@pytest.fixture
def shown(store: Store, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The app over the store of the test, and a key for it."""
    # A stream without an end has no answer to look at: here each ends with its first look.
    monkeypatch.setattr(Streams, "stopping", property(lambda _: True))
    key, _ = ApiKeys(store.api_keys).create("admin")
    app.now = create_app(store, ACCESS)
    return {"Authorization": f"Bearer {key}"}


_LONG = 200
_POLICIES = ("cancel", "ignore", "hold")


def _aim(case: Any, jobs: list[SessionId], graph: str, backoff: RetryPolicy) -> None:
    """What is good as a form becomes what is there: nothing is learned from a hundred times 404.

    What no document can say stays true: roles and parents are known, tags are ours, and a
    back-off, like a time, does not end before it begins: with what it does not say it is as
    ``backoff``, which in an office is what an earlier request has made of it.
    """
    known = {
        "office_id": (NAME_PATTERN, "doomed" if case.method == "DELETE" else "acme"),
        "job_id": (JOB_PATTERN, _one_of(jobs, case.path_parameters)),
        "graph_id": (GRAPH_PATTERN, graph),
        "role": (NAME_PATTERN, "dev"),
        "group": (NAME_PATTERN, "default"),
        "office": (NAME_PATTERN, "acme"),
        "events": (".*", "session.*"),
        "since": (EVENT_ID, "0-0"),
        "last-event-id": (".*", "0-0"),
        "if-match": (".*", "*"),
        "if-none-match": (".*", "*"),
    }
    for place in (case.path_parameters, case.query, case.headers, case.body):
        if isinstance(place, MutableMapping):
            _put(place, known)
    _order(case.query, {"submitted_after": 0, "submitted_before": LATEST_MS}, LATEST_MS)
    if isinstance(case.body, dict):
        for number, job in enumerate(_listed(case.body.get("jobs"))):
            _put(job, known)
            if _are(job.get("needs"), PRINTABLE_WORD):
                job["needs"] = []
            elif isinstance(job.get("needs"), dict) and all(
                policy in _POLICIES for policy in job["needs"].values()
            ):
                job["needs"] = {}
            if isinstance(job.get("name"), str) and 0 < len(job["name"]) <= _LONG:
                job["name"] += str(number)
        if _are(case.body.get("depends_on"), JOB_PATTERN):
            case.body["depends_on"] = [jobs[0] for _ in case.body["depends_on"]]
        if _is_moment(case.body.get("not_before")):
            case.body["not_before"] = "2100-01-01T00:00:00Z"
        waits = {"initial_ms": backoff.initial_ms, "maximum_ms": backoff.maximum_ms}
        _order(case.body.get("backoff"), waits, LONGEST_MS)


def _put(place: MutableMapping[str, Any], known: Mapping[str, tuple[str, Any]]) -> None:
    for name in list(place):
        pattern, value = known.get(name.lower(), ("", ""))
        if pattern and isinstance(place[name], str) and re.fullmatch(pattern, place[name]):
            place[name] = value
        elif pattern and isinstance(place[name], list):
            place[name] = [value for _ in place[name]]


def _one_of(jobs: list[SessionId], named: Any) -> SessionId:
    return jobs[sum(str((named or {}).get("job_id", "")).encode()) % len(jobs)]


def _listed(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _are(found: Any, pattern: str) -> bool:
    return isinstance(found, list) and all(
        isinstance(each, str) and re.fullmatch(pattern, each) for each in found
    )


def _is_moment(found: Any) -> bool:
    try:
        return datetime.fromisoformat(found).tzinfo is not None
    except (ValueError, TypeError):
        return False


def _order(place: Any, said: Mapping[str, int], most: int) -> None:
    """The upper end is not below the lower one; an end that is not named is as ``said``.

    Only of what is right for itself: what is wrong must stay wrong.
    """
    if not isinstance(place, MutableMapping) or not said.keys() & set(place):
        return
    found = {**said, **{end: place[end] for end in said if end in place}}
    first, last = (_whole(end) for end in found.values())
    if first is None or last is None or not 0 <= last < first <= most:
        return
    upper = list(said)[1]
    place[upper] = str(first) if isinstance(found[upper], str) else first


def _whole(found: Any) -> int | None:
    """A number as a body has it, or as text, which it may be in a query."""
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,18}(\.0)?", found):
        return int(found.removesuffix(".0"))
    if type(found) in (int, float) and found == found // 1:
        return int(found)
    return None


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_app_is_what_its_document_says(
    case: Any, shown: dict[str, str], store: Store, jobs: list[SessionId], graph: str
) -> None:
    """J7."""
    of_new = case.method == "POST"
    _aim(case, jobs, graph, RetryPolicy() if of_new else store.offices.read("acme").config.backoff)
    case.call_and_validate(headers=shown)
