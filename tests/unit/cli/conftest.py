"""The command line in this process, over a store on each server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from scheduler.bootstrap import open_store
from scheduler.cli import app as app_module
from scheduler.cli.app import cli
from scheduler.cli.context import App
from scheduler.plugins import loading
from scheduler.settings import load
from scheduler.store.keys import Keys
from tests.unit.store.lives import World

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Said:
    """What a command said, and how it left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """A table's rows as words."""
        return [line.split() for line in self.out.splitlines()]


Run = Callable[..., Said]


def said(result: Result) -> Said:
    """What a CliRunner saw; an exception that is no exit is a failure of the test."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def world(redis_client: redis.Redis, keys: Keys) -> World:
    """A namespace with a group, a leader and an agent."""
    return World(redis_client, keys)


@pytest.fixture
def run(redis_client: redis.Redis, keys: Keys) -> Run:
    """Run a command on the test's namespace, over a client of its own, which it closes when it ends."""
    pool = redis_client.connection_pool

    def run(*words: str) -> Said:
        own = redis.ConnectionPool(pool.connection_class, **pool.connection_kwargs)
        store = open_store(load(namespace=keys.root), redis.Redis.from_pool(own))
        app = App(namespace=keys.root, opened=store)
        return said(CliRunner().invoke(cli, list(words), obj=app))

    return run


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> EntryPoints:
    """The plugins of pyproject.toml, whether or not the project is installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    points = EntryPoints(
        EntryPoint(name, value, group)
        for group, found in declared.items()
        for name, value in found.items()
    )
    for module in (loading, app_module):
        monkeypatch.setattr(module, "entry_points", points.select)
    return points
