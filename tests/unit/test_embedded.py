"""The embedded Redis: every kind starts, serves, dies and comes back."""

import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
import redis

from scheduler.store.embedded import (
    FAKE,
    EmbeddedRedis,
    EmbeddedRedisError,
    embedded_binary,
    find_binary,
)

REAL = sorted({path for path in (find_binary(), embedded_binary()) if path})
ROOT = Path(__file__).parents[2]

KINDS = [*(pytest.param(path, marks=pytest.mark.real) for path in REAL), FAKE]
on_every_real = pytest.mark.parametrize("binary", KINDS[:-1], ids=str)


@pytest.fixture(params=KINDS, ids=str)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with EmbeddedRedis(tmp_path / "data", binary=request.param) as embedded:
            yield embedded


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connected:
        yield connected


def test_it_serves(client: redis.Redis) -> None:
    client.set("greeting", "hello")

    assert b"hello" == client.get("greeting")


def test_it_runs_scripts_by_hash(client: redis.Redis) -> None:
    """The first EVALSHA is answered NOSCRIPT, and the connection lives on."""
    double = client.register_script("return ARGV[1] * 2")

    assert 42 == double(args=[21])


def test_an_error_does_not_cost_the_connection(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url, single_connection_client=True) as client:
        before = client.client_id()
        client.set("word", "abc")

        with pytest.raises(redis.ResponseError):
            client.incr("word")

        assert before == client.client_id()


def test_it_says_what_it_is(server: EmbeddedRedis) -> None:
    name, version = server.kind.split()

    assert name in {"redis-server", "valkey-server", "fakeredis"}
    assert version[0].isdigit()


def test_a_kill_is_noticed(server: EmbeddedRedis, client: redis.Redis) -> None:
    client.ping()

    server.kill()

    assert not server.is_running()
    assert server.pid is None
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_kill_by_somebody_else_is_noticed(server: EmbeddedRedis) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)

    wait_until(lambda: not server.is_running(), saying="the kill was not noticed")


def test_it_comes_back_on_the_same_port(server: EmbeddedRedis, client: redis.Redis) -> None:
    before = server.url
    server.kill()

    server.restart()

    assert before == server.url
    assert client.ping()


@on_every_real
def test_a_restart_keeps_the_data(binary: Path, tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, binary=binary) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")

        server.restart()

        with redis.Redis.from_url(server.url) as client:
            assert b"yes" == client.get("kept")


@on_every_real
def test_it_never_evicts_and_takes_options(binary: Path, tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path, binary=binary, options={"databases": "3"}) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert {"maxmemory-policy": "noeviction"} == client.config_get("maxmemory-policy")
        assert {"appendonly": "yes"} == client.config_get("appendonly")
        assert {"save": ""} == client.config_get("save")
        assert {"databases": "3"} == client.config_get("databases")


@on_every_real
def test_a_taken_port_is_named(binary: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(EmbeddedRedisError, match=f"ended while starting on port {port}"):
            EmbeddedRedis(tmp_path, binary=binary, port=port).start()


@on_every_real
def test_it_dies_with_its_parent(binary: Path, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal\n"
        "from scheduler.store.embedded import EmbeddedRedis\n"
        f"server = EmbeddedRedis(pathlib.Path({str(tmp_path)!r}), binary=pathlib.Path("
        f"{str(binary)!r})).start()\n"
        "print(server.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    server = int(parent.stdout)

    assert -signal.SIGKILL == parent.returncode
    wait_until(lambda: is_gone(server), saying="the server did not follow its parent")


def test_the_fake_warns(tmp_path: Path) -> None:
    with (
        pytest.warns(RuntimeWarning, match="fakeredis stands in"),
        EmbeddedRedis(tmp_path, binary=FAKE) as server,
    ):
        assert server.kind.startswith("fakeredis ")


def test_newer_data_is_not_overlooked(tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n")
    old.chmod(0o755)
    (tmp_path / "data" / "appendonlydir").mkdir(parents=True)

    with pytest.raises(EmbeddedRedisError, match="written by Redis 7 or newer"):
        EmbeddedRedis(tmp_path / "data", binary=old).start()


def test_what_is_no_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedRedisError, match="is not a Redis server"):
        EmbeddedRedis(tmp_path, binary=tmp_path / "missing")


def test_there_is_no_address_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedRedisError, match="before it is started"):
        _ = EmbeddedRedis(tmp_path, binary=FAKE).url


def is_gone(pid: int) -> bool:
    """Gone, or dead and not yet reaped by its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] == "Z"


def wait_until(condition: Callable[[], bool], *, saying: str, within: float = 60.0) -> None:
    deadline = monotonic() + within
    while not condition():
        assert monotonic() < deadline, f"{saying} within {within} s"
        Event().wait(0.02)
