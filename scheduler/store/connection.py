"""Connections to Redis: one client for commands, another for reads that block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from scheduler.domain.errors import RedisFull, ScriptError, StoreUnavailable

#: A command that takes longer than this has failed; no script of ours runs for longer than 10 ms.
COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0


def connect(
    url: str, *, retries: int = 3, timeout: float = COMMAND_TIMEOUT_S, name: str | None = None
) -> redis.Redis:
    """A client for commands: text in and out, a few quick retries.

    Retries re-send scripts whose answer was lost, which is why every script of ours is safe to repeat.
    RQ needs a client of its own: it changes time-outs, and cannot work with decoded answers.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        # Bytes that are no UTF-8 must not stop a reader: whoever looks at them sees that they are not.
        encoding_errors="replace",
        client_name=name,
        socket_timeout=timeout,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.5), retries),
    )


@contextmanager
def speaking_to(client: redis.Redis) -> Iterator[None]:
    """Turn redis-py's errors into ours. Raises StoreUnavailable, RedisFull or ScriptError."""
    try:
        yield
    except OutOfMemoryError as error:
        raise RedisFull(used_percent=100) from error
    except (
        ReadOnlyError,
        MasterDownError,
        RedisConnectionError,
        RedisTimeoutError,
        OSError,
    ) as error:
        why = (str(error) or type(error).__name__).rstrip(".")
        raise StoreUnavailable(url=safe_url(client), why=why) from error
    except ResponseError as error:
        if "OOM command not allowed" in str(error):
            raise RedisFull(used_percent=100) from error
        # It answered, and did not like the question: a defect of ours, not an outage.
        raise ScriptError(script="a command", problem=str(error)) from error
    except RedisError as error:
        raise StoreUnavailable(url=safe_url(client), why=str(error).rstrip(".")) from error


def safe_url(client: redis.Redis) -> str:
    """Where a client points, without its password."""
    facts = client.connection_pool.connection_kwargs
    if "path" in facts:
        return f"unix://{facts['path']}"
    return f"redis://{facts.get('host', 'localhost')}:{facts.get('port', 6379)}/{facts.get('db', 0) or 0}"


def hide_password(url: str) -> str:
    """A Redis URL as logs and messages may show it."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
