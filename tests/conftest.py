"""Three servers, a namespace for each test, and no key left that the page of keys does not know."""

from __future__ import annotations

import gc
import inspect
import re
import signal
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import fakeredis
import pytest
import redis
from hypothesis import settings

from scheduler.store import schema
from scheduler.store.embedded import EmbeddedRedis, embedded_binary, system_binary
from scheduler.store.keys import Keys

SERVERS = ("fake", "redis-7", "embedded")
VOLATILE = {"appendonly": "no"}

# What was green stays green: a change is judged by the same examples each time. New ones are looked
# for on purpose, with --hypothesis-profile=hunt.
settings.register_profile("steady", max_examples=45, deadline=None, derandomize=True)
settings.register_profile("hunt", max_examples=2000, deadline=None, derandomize=False)
settings.load_profile("steady")


#: The modules that take longest, in seconds of waiting: begun last they would keep one worker alone.
LONGEST = (
    "test_fifty_offices",
    "test_faults",
    "test_deaths",
    "test_failover",
    "test_connections",
    "test_pm2",
)
#: Modules of the store that are asked of fakeredis, too, which `scheduler dev` falls back to where there
#: is no server: it takes three times as long as Redis, and their tests reach every kind of script.
FAKED = ("test_lifecycle", "test_line", "test_script", "test_store_machine")
#: When the last of those that wait begins, as a part of all modules.
LAST_WAIT = 0.7


def pytest_configure() -> None:
    """Let Ctrl-C through: who is started in the background by a script ignores it, and so do its children.

    Tests that interrupt a command would wait for it in vain.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mix what waits with what computes: workers take module after module in this order.

    Tests of whole processes mostly wait, and the others mostly compute. One after the other, first
    the cores would be idle, then the workers would stand in each other's way.
    """
    items[:] = [
        item
        for item in items
        if getattr(item, "callspec", None) is None
        or item.callspec.params.get("each_redis") != "fake"  # type: ignore[attr-defined]
        or item.path.stem in FAKED
    ]
    if not hasattr(config, "workerinput"):
        return
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    waiting = [path for path in modules if {"acceptance", "integration"} & {*path.parts}]
    waiting.sort(key=lambda path: path.stem not in LONGEST or path.parent.name != "acceptance")
    computing = [path for path in modules if path not in waiting]
    turns = {path: LAST_WAIT * turn / len(waiting) for turn, path in enumerate(waiting)}
    turns |= {path: turn / len(computing) for turn, path in enumerate(computing)}
    items[:] = [item for path in sorted(turns, key=turns.__getitem__) for item in modules[path]]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All modules and 6,000 tests stay: looking through them for garbage was half of what collecting cost.

    And a third of what short tests did, each worker having all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], redis.Redis]]:
    """Clients by name of their server; a server is started when a test first asks for it."""
    started: list[tuple[EmbeddedRedis, redis.Redis]] = []

    @cache
    def client_of(name: str) -> redis.Redis:
        if name == "fake":
            return fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        binary = _binary(name)
        if binary is None:
            pytest.skip(f"{name} is not installed")
        server = EmbeddedRedis(tmp_path_factory.mktemp(name), binary=binary, options=VOLATILE)
        client = redis.Redis.from_url(server.start().url, decode_responses=True)
        started.append((server, client))
        return client

    yield client_of
    for server, client in started:
        client.close()
        server.kill()


def _binary(name: str) -> Path | None:
    return embedded_binary() if name == "embedded" else system_binary()


@pytest.fixture
def redis_client(server_of: Callable[[str], redis.Redis]) -> redis.Redis:
    """The best server there is; tests of the store ask every kind."""
    if system_binary():
        return server_of("redis-7")
    return server_of("embedded" if embedded_binary() else "fake")


@pytest.fixture(
    params=[
        "fake",
        pytest.param("redis-7", marks=pytest.mark.real),
        pytest.param("embedded", marks=pytest.mark.real),
    ]
)
def each_redis(
    request: pytest.FixtureRequest, server_of: Callable[[str], redis.Redis]
) -> redis.Redis:
    """Each server in turn."""
    return server_of(request.param)


def _is_older(client: redis.Redis, page: Keys) -> bool:
    try:
        return int(client.hget(page.schema(), "version") or schema.VERSION) < schema.VERSION
    except redis.ResponseError:
        return False  # a test has spoilt it


@pytest.fixture
def keys(redis_client: redis.Redis) -> Iterator[Keys]:
    """A namespace of this test's own, checked for strangers and emptied afterwards."""
    page = Keys(f"t{uuid4().hex[:8]}")
    yield page
    found = cast("list[str]", list(redis_client.scan_iter(count=1000)))
    older = _is_older(redis_client, page)
    if found:
        redis_client.delete(*found)

    # A test that leaves an older layout leaves keys that the page does not know any more.
    if not older:
        assert [] == strangers(page, found), "keys that no method of Keys describes"


def strangers(page: Keys, found: list[str]) -> list[str]:
    """Keys of the namespace, or of RQ, that the page does not describe."""
    known = patterns(page)
    ours = [key for key in found if page.root in key or key.startswith("rq:")]
    return sorted(key for key in ours if not any(pattern.fullmatch(key) for pattern in known))


def patterns(page: Keys) -> list[re.Pattern[str]]:
    """What the keys of each method of the page look like."""
    mark = "\0"
    methods: list[Any] = [
        method for name, method in vars(Keys).items() if inspect.isfunction(method)
    ]
    templates = [
        method(page, *[mark] * (len(inspect.signature(method).parameters) - 1))
        for method in methods
        if not method.__name__.startswith("_")
    ]
    return [
        re.compile(re.escape(template).replace(re.escape(mark), ".+"), re.DOTALL)
        for template in templates
    ]
