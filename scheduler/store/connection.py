"""Connections to Redis: one client for commands, another for reads that block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import redis
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from scheduler.domain.errors import (
    InvalidSetting,
    RedisFull,
    RedisRefuses,
    RedisUnsuitable,
    ScriptError,
    StoreUnavailable,
)
from scheduler.store import sentinel
from scheduler.store.retrying import USUAL, RepeatPolicy

#: A command that takes longer than this has failed; no script of ours runs for longer than 10 ms.
COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
_CLUSTER_WORDS = ("Hash slot not served", "non local key", "CLUSTERDOWN", "CROSSSLOT", "MOVED")
#: What an unsuitable server is told to be.
CLUSTER = (
    "it is a node of a Redis Cluster, where no script may touch all of our keys;"
    " use a Redis without cluster mode"
)
REPLICA = "it is a read-only replica; name its primary, or its Sentinels"
_NO_PASSWORD = ("Authentication required", "HELLO must be called")


def open_client(url: str, **options: Any) -> redis.Redis:
    """The one place where clients are made: of a server, or of a primary that Sentinel watches over.

    ``options`` are redis-py's; those in the URL win. Raises InvalidSetting for a URL that is none.
    """
    try:
        if sentinel.is_sentinel_url(url):
            client = sentinel.follow_primary(url, **options)
        else:
            client = redis.Redis.from_url(url, **options)
        # Options of the URL are looked at with the first connection; nothing is sent yet.
        cast("Any", client.connection_pool).connection_class(
            **client.connection_pool.connection_kwargs
        )
    except (ValueError, TypeError) as error:
        problem = f"it is no Redis URL such as redis://localhost:6379/0 or {sentinel.EXAMPLE}"
        raise InvalidSetting(name="redis_url", problem=f"{problem}: {error}") from error
    return client


def connect(
    url: str,
    *,
    policy: RepeatPolicy = USUAL,
    patience: float = 0.0,
    timeout: float = COMMAND_TIMEOUT_S,
    name: str | None = None,
) -> redis.Redis:
    """A client for commands: text in and out; ``policy`` says how often one is tried again.

    With ``patience`` (s), and only where Sentinel may find another primary meanwhile, it retries for
    so long. Retries re-send scripts whose answer was lost, which is why every script of ours is safe
    to repeat. RQ needs a client of its own: it changes time-outs, and cannot work with decoded answers.
    """
    retry = policy.of_commands(patience if sentinel.is_sentinel_url(url) else 0.0)
    return open_client(
        url,
        decode_responses=True,
        # Bytes that are no UTF-8 must not stop a reader: whoever looks at them sees that they are not.
        encoding_errors="replace",
        client_name=name,
        socket_timeout=timeout,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=15,
        retry=retry,
    )


def connect_for_rq(url: str) -> redis.Redis:
    """A client that RQ may work with: bytes in and out, its own time-outs."""
    return open_client(
        url,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=15,
    )


@contextmanager
def speaking_to(client: redis.Redis) -> Iterator[None]:
    """Turn redis-py's errors into ours.

    Raises StoreUnavailable, RedisRefuses, RedisFull, RedisUnsuitable or ScriptError.
    """
    try:
        yield
    except OutOfMemoryError as error:
        raise RedisFull(used_percent=100) from error
    except (AuthenticationError, NoPermissionError, InvalidResponse) as error:
        raise RedisRefuses(url=safe_url(client), why=_refusal(error)) from error
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        why = (str(error) or type(error).__name__).rstrip(".")
        raise StoreUnavailable(url=safe_url(client), why=why) from error
    except ResponseError as error:
        if "OOM command not allowed" in str(error):
            raise RedisFull(used_percent=100) from error
        if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
            raise RedisRefuses(url=safe_url(client), why=REPLICA) from error
        if sentinel.takes_no_writes(error):
            raise StoreUnavailable(url=safe_url(client), why=str(error).rstrip(".")) from error
        if any(word in str(error) for word in _CLUSTER_WORDS):
            raise RedisUnsuitable(why=CLUSTER) from error
        # It answered, and did not like the question: a defect of ours, not an outage.
        raise ScriptError(script="a command", problem=str(error)) from error
    except RedisError as error:
        raise StoreUnavailable(url=safe_url(client), why=str(error).rstrip(".")) from error


def of_its_type(answers: Sequence[Any], instead: Any) -> list[Any]:
    """Answers of a pipeline that raised nothing; ``instead`` where a key is of another type.

    Raises the first that is another error.
    """
    found = []
    for answer in answers:
        wrong = isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer)
        if isinstance(answer, Exception) and not wrong:
            raise answer
        found.append(instead if wrong else answer)
    return found


def _refusal(error: RedisError) -> str:
    said = str(error).rstrip(".")
    if isinstance(error, InvalidResponse):
        return "what answers there is no Redis"
    if isinstance(error, NoPermissionError):
        return f"its user may not do what is needed ({said})"
    if any(words in said for words in _NO_PASSWORD):
        return (
            "it wants a password, which the URL does not give; write redis://:PASSWORD@HOST:PORT/0"
        )
    return f"it does not accept the user or the password of the URL ({said})"


def safe_url(client: redis.Redis) -> str:
    """Where a client points, without its password."""
    if watched := sentinel.describe(client):
        return watched
    facts = client.connection_pool.connection_kwargs
    if "path" in facts:
        return f"unix://{facts['path']}"
    return f"redis://{facts.get('host', 'localhost')}:{facts.get('port', 6379)}/{facts.get('db', 0) or 0}"
