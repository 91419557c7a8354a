"""The app against its own document: schemathesis asks what the document allows and what it forbids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from starlette.types import Receive, Scope, Send

from scheduler.api.app import Access, create_app
from scheduler.api.routing import JOB_PATTERN, NAME_PATTERN
from scheduler.api.streams import Streams
from scheduler.auth.keys import ApiKeys
from scheduler.bootstrap import Store, open_store
from scheduler.domain.ids import SessionId
from scheduler.domain.office import office_scopes
from scheduler.domain.spec import SessionSpec
from scheduler.operations.submission import submit_sessions
from scheduler.settings import Settings, load
from scheduler.store.embedded import EmbeddedRedis

pytestmark = pytest.mark.integration

#: By hand: SCHEMATHESIS_EXAMPLES=300 scripts/test tests/integration/api/test_schemathesis.py
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "8"))


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


class _App:
    """The app of the test that runs; the document is read before there is one."""

    now: FastAPI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.now(scope, receive, send)


ACCESS = Access(rate="1000000/second", body_limit=4_194_304, streams=100)
app = _App()
document = schemathesis.openapi.from_dict(create_app(open_store(Settings()), ACCESS).openapi())
document.app = app


@pytest.fixture
def served(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app over the store of the test, and a key for it."""
    # A stream without an end has no answer to look at: here each ends with its first look.
    monkeypatch.setattr(Streams, "stopping", property(lambda _: True))
    key, _ = ApiKeys(store.api_keys).create("admin")
    document.config.update(headers={"Authorization": f"Bearer {key}"})
    app.now = create_app(store, ACCESS)


def _aim(case: Any, jobs: list[SessionId]) -> None:
    """Names that are good become those of what is there: nothing is learned from a hundred times 404."""
    named = case.path_parameters or {}
    if re.fullmatch(NAME_PATTERN, str(named.get("office_id", ""))):
        named["office_id"] = "doomed" if case.method == "DELETE" else "acme"
    if re.fullmatch(JOB_PATTERN, str(named.get("job_id", ""))):
        named["job_id"] = jobs[sum(named["job_id"].encode()) % len(jobs)]


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.usefixtures("served")
def test_the_app_is_what_its_document_says(case: Any, jobs: list[SessionId]) -> None:
    """J7."""
    _aim(case, jobs)
    case.call_and_validate()
