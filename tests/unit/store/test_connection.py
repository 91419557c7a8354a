"""Connections: errors are ours, and no password is shown."""

from __future__ import annotations

import pytest
import redis

from scheduler.domain.errors import (
    RedisFull,
    RedisRefuses,
    RedisUnsuitable,
    ScriptError,
    StoreUnavailable,
)
from scheduler.store.connection import (
    COMMAND_TIMEOUT_S,
    connect,
    safe_url,
    speaking_to,
)

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://user:{SECRET}@host:7000/2", "redis://host:7000/2"),
        (f"redis://:{SECRET}@host", "redis://host:6379/0"),
        ("redis://localhost", "redis://localhost:6379/0"),
        (f"unix://:{SECRET}@/run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_client_names_its_server_without_the_password(url: str, shown: str) -> None:
    assert shown == safe_url(connect(url))


@pytest.mark.parametrize(
    ("error", "ours", "says"),
    [
        (redis.ConnectionError("refused"), StoreUnavailable, "refused"),
        (redis.TimeoutError(), StoreUnavailable, "TimeoutError"),
        (OSError("no route"), StoreUnavailable, "no route"),
        (redis.exceptions.OutOfMemoryError("x"), RedisFull, "nothing was written"),
        (
            redis.ResponseError("script: -OOM command not allowed when"),
            RedisFull,
            "nothing was written",
        ),
        (redis.ResponseError("WRONGTYPE"), ScriptError, "WRONGTYPE"),
        (redis.ReadOnlyError("You can't"), RedisRefuses, "it is a read-only replica"),
        (redis.ResponseError("f_1: -READONLY You can't"), RedisRefuses, "it is a read-only"),
        (redis.AuthenticationError("invalid pair"), RedisRefuses, r"of the URL \(invalid pair\)"),
        (redis.AuthenticationError("Authentication required."), RedisRefuses, "wants a password"),
        (redis.exceptions.NoPermissionError("no evalsha"), RedisRefuses, "may not do what is"),
        (redis.InvalidResponse('got "<"'), RedisRefuses, "what answers there is no Redis"),
        (redis.ResponseError("Hash slot not served"), RedisUnsuitable, "a node of a Redis Cluster"),
    ],
)
def test_errors_of_the_library_become_ours(
    error: Exception, ours: type[Exception], says: str
) -> None:
    with pytest.raises(ours, match=says) as caught, speaking_to(connect(f"redis://:{SECRET}@h")):
        raise error

    assert SECRET not in str(caught.value)
    assert error is caught.value.__cause__


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), speaking_to(connect("redis://h")):
        raise KeyError


def test_a_client_speaks_text_and_does_not_wait_for_ever() -> None:
    facts = connect("redis://h").connection_pool.connection_kwargs

    assert facts["decode_responses"] is True
    assert COMMAND_TIMEOUT_S == facts["socket_timeout"]
