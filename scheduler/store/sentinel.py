"""A primary that Sentinel watches over: its URL, and a client that follows it over failovers.

redis-py has Sentinel but no URL for it; the grammar here is the one that docket and Prefect accept,
and Redis-Sentinel-Url before them. Credentials, database and options are read by redis-py itself.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError, ResponseError
from redis.retry import Retry
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
EXAMPLE = "redis+sentinel://host1:26379,host2:26379/mymaster/0"
SENTINEL_PORT = 26_379
#: A Sentinel that does not answer by then is passed over; the next one knows as much.
SENTINEL_TIMEOUT_S = 1.0
#: How a server says that it is no primary which takes writes now. Some of them come as "ERR ...
#: -READONLY ..." from inside a script of Redis 6.2.
_REFUSALS = ("NOREPLICAS", "UNBLOCKED", "MISCONF")
_REFUSED_IN_SCRIPT = tuple(f"-{word} " for word in ("READONLY", "MASTERDOWN", *_REFUSALS))


def is_sentinel_url(url: str) -> bool:
    """Whether a URL names Sentinels; urlsplit would not take a list with an IPv6 address."""
    return url.partition("://")[0].lower() in SCHEMES


def takes_no_writes(error: ResponseError) -> bool:
    """Whether an error reply says that this server is no primary now, or was cut off from its replicas."""
    said = str(error)
    return (
        isinstance(error, (ReadOnlyError, MasterDownError))
        or said.startswith(_REFUSALS)
        or any(word in said for word in _REFUSED_IN_SCRIPT)
    )


def follow_primary(url: str, **options: Any) -> redis.Redis:
    """A client that asks the Sentinels of a URL with each new connection. Raises ValueError."""
    members, service, given = _parse(url)
    secure = given.pop("connection_class", None) is not None
    speaking: dict[str, Any] = {
        "username": given.pop("sentinel_username", None),
        "password": given.pop("sentinel_password", None),
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        **({"ssl": True} if secure else {}),
        **{name: value for name, value in given.items() if name.startswith("ssl_")},
    }
    sentinels = cast("Any", _Sentinels)(members, sentinel_kwargs=speaking)
    kind = _SecureConnection if secure else _Connection
    options = {**options, **given, "connection_class": kind}
    client: redis.Redis = sentinels.master_for(service, connection_pool_class=_Pool, **options)
    return client


def describe(client: redis.Redis) -> str:
    """The URL of such a client without its password, or "" for another client."""
    pool = client.connection_pool
    if not isinstance(pool, _Pool):
        return ""
    facts = pool.connection_kwargs
    scheme = "rediss" if pool.connection_class is _SecureConnection else "redis"
    return f"{scheme}+sentinel://{pool.sentinel_manager.members}/{pool.service_name}/{facts.get('db', 0)}"


class _Sentinels(Sentinel):
    """Says in one sentence that no primary was found."""

    @property
    def members(self) -> str:
        facts = [sentinel.connection_pool.connection_kwargs for sentinel in self.sentinels]
        return ",".join(f"{fact['host']}:{fact['port']}" for fact in facts)

    def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            found: tuple[str, int] = cast("Any", super()).discover_master(service_name)
        except ResponseError as error:
            raise MasterNotFoundError(
                f"what answers at {self.members} is no Sentinel ({error})"
            ) from error
        except MasterNotFoundError as error:
            silent = " : " in str(error)
            why = "answers" if silent else f"knows a primary {service_name!r} that works"
            raise MasterNotFoundError(f"no Sentinel of {self.members} {why} now") from error
        return found


class _Pool(SentinelConnectionPool):
    """Closes the connections to the Sentinels, too."""

    def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()


class _Follows:
    """Leaves a server that takes no writes: the next connection asks the Sentinels anew.

    redis-py does so for READONLY only, and a primary that was cut off from its replicas, and by
    that from its Sentinels, would keep its clients for as long as it lives. When it repeats a
    command on a connection that broke, it also goes back to the same address; here it asks first.
    """

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        connection = cast("Any", self)
        if connection._sock is None:  # noqa: SLF001 - redis-py asks itself just this
            connection.connect()
        cast("Any", super()).send_packed_command(*args, **options)

    def read_response(self, *args: Any, **options: Any) -> Any:
        connection = cast("Any", super())
        try:
            return connection.read_response(*args, **options)
        except ResponseError as error:
            if not takes_no_writes(error):
                raise
            connection.disconnect()
            raise RedisConnectionError(f"it is no primary that takes writes: {error}") from error


class _Connection(_Follows, SentinelManagedConnection):
    pass


class _SecureConnection(_Follows, SentinelManagedSSLConnection):
    pass


def _parse(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """Sentinels, the name of the primary, and what else redis-py reads in the URL. Raises ValueError."""
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, at, members = authority.rpartition("@")
    service, _, database = path.partition("/")
    if not members or not service:
        raise ValueError(f"it names no Sentinel or no primary; write {EXAMPLE}")
    if not (database or "0").isdecimal():
        raise ValueError(f"{database!r} is no number of a database")
    standalone = f"{SCHEMES[scheme.lower()]}://{credentials}{at}primary/{database or 0}?{query}"
    given = cast("dict[str, Any]", cast("Any", parse_url)(standalone))
    del given["host"]
    return [_member(member) for member in members.split(",")], service, given


def _member(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is no Sentinel's HOST:PORT")
    return parts.hostname, parts.port or SENTINEL_PORT
