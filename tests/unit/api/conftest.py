"""The app in this process, over a real Redis, and keys for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from fastapi import FastAPI

from scheduler.api.app import Access, create_app
from scheduler.auth.keys import ApiKeys
from scheduler.bootstrap import Store, open_store
from scheduler.settings import load
from scheduler.store.keys import Keys
from tests.unit.store.lives import World, contents

with warnings.catch_warnings():
    # It would rather have another client than the one that we have, and works with this one.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ACCESS = Access(rate="100000/minute", body_limit=4_194_304, streams=3, streams_per_key=2)


@dataclass
class Api:
    """The app and who asks it."""

    app: FastAPI
    store: Store
    world: World
    web: TestClient
    keys: dict[tuple[str, str], str] = field(default_factory=dict)

    def key(self, role: str, office: str = "") -> str:
        """The text of a key with this role."""
        if (role, office) not in self.keys:
            made, _ = ApiKeys(self.store.api_keys).create(role, office=office)
            self.keys[role, office] = made
        return self.keys[role, office]

    def ask(self, method: str, path: str, *, by: str = "admin", **more: Any) -> Any:
        """One request by a key of a role, or of "role office"."""
        headers = dict(more.pop("headers", {}))
        if by:
            headers.setdefault("Authorization", f"Bearer {self.key(*by.split())}")
        return self.web.request(method, path, headers=headers, **more)

    def submit(self, office: str = "acme", **asked: Any) -> str:
        """The id of a new job."""
        body = {"command": ["true"], **asked} if "callable" not in asked else asked
        answer = self.ask("POST", f"/api/offices/{office}/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def written(self) -> dict[str, Any]:
        """Everything in Redis, but when keys were used last."""
        found = contents(self.store.client)
        return {
            key: {k: v for k, v in value.items() if k != "last_used_at"}
            if isinstance(value, dict)
            else value
            for key, value in found.items()
        }


@pytest.fixture
def redis_client(server_of: Callable[[str], redis.Redis]) -> redis.Redis:
    """A real server: streams that wait are looked at, too."""
    return server_of("redis-7")


@pytest.fixture
def access() -> Access:
    """What is allowed; tests that need less say so."""
    return ACCESS


@pytest.fixture
def api(redis_client: redis.Redis, keys: Keys, access: Access) -> Iterator[Api]:
    """The app over a namespace with a group, and an office acme that has the roles dev and qa."""
    world = World(redis_client, keys)
    store = open_store(load(namespace=keys.root), redis_client)
    store.offices.create("acme", {"roles": ["dev", "qa"]})
    store.offices.create("globex", {})
    app = create_app(store, access)
    with TestClient(app, raise_server_exceptions=False) as web:
        yield Api(app, store, world, web)
