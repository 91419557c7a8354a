"""Servers that cannot hold our data: one sentence and its exit code, from all who would use them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from scheduler import Client
from scheduler.cli.app import cli
from scheduler.cli.context import App
from scheduler.domain.errors import RedisUnsuitable
from scheduler.store.embedded import HOST, EmbeddedRedis
from tests.unit.store.lives import contents

pytestmark = [pytest.mark.integration, pytest.mark.real]

PASSWORD = "hunter2"
UNSUITABLE, REFUSES = "This Redis cannot be used: ", "Redis at {url} cannot be used: "
REPLICA = "it is a read-only replica; name its primary, or its Sentinels"
EVICTS = "maxmemory-policy is allkeys-lru, so"
#: Exit code and sentence by what is wrong with a server.
SAYS = {
    "no password": (
        5,
        REFUSES + "it wants a password, which the URL does not give;"
        " write redis://:PASSWORD@HOST:PORT/0.",
    ),
    "wrong password": (
        5,
        REFUSES + "it does not accept the user or the password of the URL"
        " (invalid username-password pair or user is disabled).",
    ),
    "http": (5, REFUSES + "what answers there is no Redis."),
    "cluster": (
        4,
        UNSUITABLE + "it is a node of a Redis Cluster, where no script may touch all of our keys;"
        " use a Redis without cluster mode.",
    ),
    "evicts": (
        4,
        UNSUITABLE + f"its {EVICTS} it may throw sessions away;"
        " set it with `redis-cli config set maxmemory-policy noeviction`.",
    ),
    "replica": (5, f"{REFUSES}{REPLICA}."),
}
COMMANDS = {
    "submit": ["session", "submit", "true"],
    "replica": ["replica", "run"],
    "agent": ["agent", "run", "--id", "a1", "--slots", "cpu=1"],
    "doctor": ["doctor"],
}
#: The doctor goes on where it can, and names the check.
CHECKED = {
    "evicts": f"PROBLEM  eviction: {EVICTS}",
    "replica": f"PROBLEM  role: {REPLICA}: {HOST}:",
}


class Silent(BaseHTTPRequestHandler):
    """A web server that logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """URLs by what is wrong there."""
    started: list[EmbeddedRedis] = []

    def start(name: str, **options: str) -> str:
        given = {"appendonly": "no"} | {k.replace("_", "-"): v for k, v in options.items()}
        server = EmbeddedRedis(tmp_path_factory.mktemp(name), options=given)
        started.append(server.start())
        return server.url

    web = ThreadingHTTPServer((HOST, 0), Silent)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    locked = start("locked")
    with redis.Redis.from_url(locked) as client:
        client.config_set("requirepass", PASSWORD)
    start("primary")
    yield {
        "no password": locked,
        "wrong password": locked.replace("//", "//:wrong@"),
        "http": f"redis://{HOST}:{web.server_port}/0",
        "cluster": start("cluster", cluster_enabled="yes"),
        "evicts": start("evicts", maxmemory_policy="allkeys-lru"),
        "replica": start("replica", replicaof=f"{HOST} {started[1].port}"),
    }
    for server in started:
        server.kill()
    web.shutdown()
    web.server_close()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", SAYS)
def test_it_is_one_sentence_with_its_exit_code(
    servers: Mapping[str, str], tmp_path: Path, wrong: str, command: str
) -> None:
    """K20: and the agent leaves nothing behind, not even its run directory."""
    url, (code, says) = servers[wrong], SAYS[wrong]
    env = {"SCHEDULER_SECRET": "s" * 32, "SCHEDULER_STATE_DIR": str(tmp_path / "state")}

    left = CliRunner(env=env).invoke(cli, ["--redis", url, *COMMANDS[command]], obj=App())

    if command == "doctor" and wrong in CHECKED:
        assert (1, "") == (left.exit_code, left.stderr)
        assert CHECKED[wrong] in left.stdout
    else:
        shown = url.replace(":wrong@", "")
        assert (code, "", f"{says.format(url=shown)}\n") == (
            left.exit_code,
            left.stdout,
            left.stderr,
        )
    assert not (tmp_path / "state").exists()


def test_an_app_writes_nothing_to_a_redis_that_evicts(servers: Mapping[str, str]) -> None:
    """K20: not even where a group is there, from before somebody changed the policy."""
    with Client(servers["evicts"]) as client:
        client.store.groups.configure("default", {})
        before = contents(client.store.client)

        with pytest.raises(RedisUnsuitable, match="it may throw sessions away"):
            client.enqueue("a:b")

        assert before == contents(client.store.client)


def test_a_submit_to_a_replica_names_it(servers: Mapping[str, str]) -> None:
    """Where it became one after the app had looked, the script is refused, in the same words."""
    with Client(servers["replica"]) as client:
        client._may_write = True
        with redis.Redis.from_url(servers["replica"]) as primary:
            primary.config_set("replica-read-only", "no")
            primary.sadd(client.store.keys.groups(), "default")
            primary.config_set("replica-read-only", "yes")

        with pytest.raises(Exception, match=REPLICA):
            client.enqueue("a:b")
