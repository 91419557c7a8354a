"""The layout's version, and whether this Redis may hold our data at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis
from redis.exceptions import RedisError, ResponseError

from scheduler.domain.errors import RedisRefuses, RedisUnsuitable, SchemaTooNew, SchemaTooOld
from scheduler.observability.logs import get_logger
from scheduler.store.connection import CLUSTER, REPLICA, safe_url, speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

#: 2: scopes count slots and what waits. 3: jobs of offices are listed by state and role. 4: limits of all
#: scopes are in one hash, what they count in another, a text each: a script reads those of many in two calls.
VERSION = 4
OLDEST_REDIS = (6, 2)

_STAMP = Script.load("schema/stamp")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a Redis says of itself; "" where it does not say."""

    version: str
    eviction: str
    persistence: str
    used_memory: int
    max_memory: int
    run_id: str
    replication_id: str
    former_replication_id: str
    uptime_s: int
    max_clients: int
    clients: int
    mode: str = ""  #: standalone, cluster or sentinel
    replica_of: str = ""  #: HOST:PORT of its primary; "" for a primary

    @property
    def identity(self) -> str:
        """Another one after a restart, and after a failover."""
        return self.run_id + self.replication_id

    @property
    def was_replica(self) -> bool:
        """Whether it was promoted: what its primary acknowledged last may be missing."""
        return bool(self.former_replication_id.strip("0"))


def server_facts(client: redis.Redis) -> ServerFacts:
    """Ask the server. Raises StoreUnavailable."""
    with speaking_to(client):
        client.ping()
        try:
            info = cast("dict[str, object]", client.info())
        except ResponseError:
            info = {}  # fakeredis knows no INFO
        return ServerFacts(
            version=str(info.get("redis_version", "")),
            eviction=str(info.get("maxmemory_policy", "")),
            persistence=_persistence(client, info),
            used_memory=int(str(info.get("used_memory", 0))),
            max_memory=int(str(info.get("maxmemory", 0))),
            run_id=str(info.get("run_id", "")),
            replication_id=str(info.get("master_replid", "")),
            former_replication_id=str(info.get("master_replid2", "")),
            uptime_s=int(str(info.get("uptime_in_seconds", 0))),
            max_clients=int(str(info.get("maxclients", 0))),
            clients=int(str(info.get("connected_clients", 0))),
            mode=str(info.get("redis_mode", "")),
            replica_of=_primary_of(info),
        )


def _primary_of(info: dict[str, object]) -> str:
    if info.get("role") != "slave":
        return ""
    return f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"


def _persistence(client: redis.Redis, info: dict[str, object]) -> str:
    if str(info.get("aof_enabled")) == "1":
        return "aof"
    try:
        save = cast("dict[str, str]", client.config_get("save")).get("save", "")
    except RedisError:
        return ""
    return "rdb" if save else "none"


def check_server(client: redis.Redis) -> None:
    """Refuse a server that cannot hold our data. Raises RedisUnsuitable, RedisRefuses, StoreUnavailable."""
    facts = server_facts(client)
    if facts.mode == "cluster":
        raise RedisUnsuitable(why=CLUSTER)
    if facts.version and tuple(map(int, facts.version.split(".")[:2])) < OLDEST_REDIS:
        raise RedisUnsuitable(why=f"it has version {facts.version}, 6.2 or newer is needed")
    if facts.eviction not in ("", "noeviction"):
        raise RedisUnsuitable(
            why=f"its maxmemory-policy is {facts.eviction}, so it may throw sessions away;"
            " set it with `redis-cli config set maxmemory-policy noeviction`"
        )
    if facts.replica_of:
        raise RedisRefuses(url=safe_url(client), why=REPLICA)


def prepare(client: redis.Redis, keys: Keys, *, events_cap: int) -> None:
    """Check the server, and bring the layout up to date.

    Raises RedisUnsuitable, RedisRefuses, SchemaTooNew, MigrationRefused, StoreUnavailable.
    """
    check_server(client)
    with speaking_to(client):
        word, *rest = _STAMP(client, keys.root, version=VERSION, events_cap=events_cap)
    if word == "newer":
        raise SchemaTooNew(namespace=keys.root, found=rest[0], known=VERSION)
    if word == "older":
        # Old data are met once in a namespace's life, and every process imports this module.
        from scheduler.store.migration import bring_up_to_date  # noqa: PLC0415

        bring_up_to_date(client, keys, (int(rest[0]), VERSION))
        log = get_logger(namespace=keys.root)
        log.info("schema.migrated", found=int(rest[0]), now=VERSION)
        prepare(client, keys, events_cap=events_cap)


def check_version(client: redis.Redis, keys: Keys) -> None:
    """For apps: refuse data of another layout. Raises SchemaTooNew, SchemaTooOld, StoreUnavailable.

    Apps wait for a replica to bring older data up to date: what they wrote meanwhile would count twice.
    """
    with speaking_to(client):
        found = client.hget(keys.schema(), "version")
    if found and int(cast("str", found)) > VERSION:
        raise SchemaTooNew(namespace=keys.root, found=found, known=VERSION)
    if found and int(cast("str", found)) < VERSION:
        raise SchemaTooOld(namespace=keys.root, found=found, known=VERSION)
