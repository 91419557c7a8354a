"""A primary, its replica and the Sentinels that watch over them, as real processes on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self, cast

import redis

from scheduler.store.embedded import EmbeddedRedis, find_binary
from scheduler.testing.waiting import wait_until

PRIMARY: Final = "mymaster"
_LOCALHOST: Final = "127.0.0.1"
#: Long for a busy machine; Sentinel itself takes a second or two.
_PATIENCE_S: Final = 60.0


class _Sentinel(EmbeddedRedis):
    """``redis-server FILE --sentinel``; it writes what it learns into its file."""

    def __init__(self, directory: Path, lines: Sequence[str]) -> None:
        super().__init__(directory, binary=find_binary())
        self._lines = lines

    def _command(self) -> list[str]:
        file = self.directory / "sentinel.conf"
        own = [f"port {self.port}", f"bind {_LOCALHOST}", f"dir {self.directory}"]
        file.write_text("\n".join([*own, *self._lines]) + "\n")
        return [str(self._binary), str(file), "--sentinel"]


class WatchedRedis:
    """Two servers and some Sentinels; ``first`` is primary until the first failover."""

    def __init__(self, folder: Path, *, sentinels: int = 1, down_after_ms: int = 1_000) -> None:
        self._folder = folder
        self._count = sentinels
        self._down_after_ms = down_after_ms
        self._sentinels: list[_Sentinel] = []
        self.first: EmbeddedRedis
        self.second: EmbeddedRedis

    @property
    def url(self) -> str:
        """What SCHEDULER_REDIS_URL is set to."""
        members = ",".join(f"{_LOCALHOST}:{sentinel.port}" for sentinel in self._sentinels)
        return f"redis+sentinel://{members}/{PRIMARY}/0"

    def start(self) -> Self:
        """Start all of it; returns when every Sentinel knows the replica and the other Sentinels."""
        self.first = EmbeddedRedis(self._folder / "first").start()
        follows = {"replicaof": f"{_LOCALHOST} {self.first.port}"}
        self.second = EmbeddedRedis(self._folder / "second", options=follows).start()
        quorum = self._count // 2 + 1
        lines = [
            f"sentinel monitor {PRIMARY} {_LOCALHOST} {self.first.port} {quorum}",
            f"sentinel down-after-milliseconds {PRIMARY} {self._down_after_ms}",
            f"sentinel failover-timeout {PRIMARY} 10000",
        ]
        self._sentinels = [
            _Sentinel(self._folder / f"sentinel{index}", lines) for index in range(self._count)
        ]
        for sentinel in self._sentinels:
            sentinel.start()
        wait_until(self._all_known, within=_PATIENCE_S, saying="the Sentinels never found all")
        self.wait_in_sync()
        return self

    def stop(self) -> None:
        """End all of it."""
        for server in (*self._sentinels, self.second, self.first):
            server.kill()

    def wait_in_sync(self) -> None:
        """Until the replica has all that the primary ever acknowledged."""
        with client_of(self.first) as primary:
            wait_until(
                lambda: cast("int", primary.wait(1, 1_000)) >= 1,
                within=_PATIENCE_S,
                saying="the replica is never in sync",
            )

    def stop_replicating(self) -> None:
        """From now on the replica learns nothing: it cannot log in to its primary any more."""
        with client_of(self.second) as replica, client_of(self.first) as primary:
            replica.config_set("masteruser", "nobody")
            replica.config_set("masterauth", "nothing")
            primary.client_kill_filter(_type="replica")
            wait_until(
                lambda: _info(replica)["master_link_status"] == "down",
                within=_PATIENCE_S,
                saying="the replica is still fed",
            )

    def elect_second_behind_the_back_of_first(self) -> None:
        """As where the first server was cut off from replica and Sentinels, but not from its clients."""
        with client_of(self.second) as second:
            second.execute_command("REPLICAOF", "NO", "ONE")
            wait_until(
                lambda: _info(second)["role"] == "master",
                within=_PATIENCE_S,
                saying="the replica was not promoted",
            )
        for sentinel in self._sentinels:
            _ask(sentinel, "sentinel_remove", PRIMARY)
            where = (PRIMARY, _LOCALHOST, str(self.second.port), str(self._count // 2 + 1))
            _ask(sentinel, "sentinel_monitor", *where)

    def wait_for_failover(self) -> None:
        """Until the second server is primary, and the Sentinels say so."""

        def promoted() -> bool:
            with client_of(self.second) as second:
                return _info(second)["role"] == "master" and all(
                    address == (_LOCALHOST, self.second.port) for address in self._primaries()
                )

        wait_until(promoted, within=_PATIENCE_S, saying="no failover took place", every=0.1)

    def wait_until_first_follows(self) -> None:
        """Until the first server, started again, is a replica of the second.

        Sentinel waits until it was well for eight seconds at a stretch, which may be long in coming
        on a machine where it now and then does not answer for one.
        """

        def follows() -> bool:
            with client_of(self.first) as first:
                facts = _info(first)
                return (facts["role"], facts.get("master_link_status")) == ("slave", "up")

        wait_until(
            follows, within=2 * _PATIENCE_S, saying="the old primary never followed", every=0.1
        )

    def _primaries(self) -> list[tuple[str, int]]:
        return [
            cast("tuple[str, int]", _ask(sentinel, "sentinel_get_master_addr_by_name", PRIMARY))
            for sentinel in self._sentinels
        ]

    def _all_known(self) -> bool:
        facts = [_ask(sentinel, "sentinel_master", PRIMARY) for sentinel in self._sentinels]
        return all(
            (fact["num-slaves"], fact["num-other-sentinels"]) == (1, self._count - 1)
            for fact in facts
        )


def client_of(server: EmbeddedRedis) -> redis.Redis:
    """A client of one server, whoever is primary."""
    return redis.Redis(host=_LOCALHOST, port=server.port, decode_responses=True)


def _ask(sentinel: EmbeddedRedis, method: str, *words: str) -> Any:
    with client_of(sentinel) as client:
        return getattr(client, method)(*words)


def _info(client: redis.Redis) -> dict[str, Any]:
    return client.info("replication")
