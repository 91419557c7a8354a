"""URLs of primaries that Sentinel watches over."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.sentinel import SentinelManagedSSLConnection

from scheduler.domain.errors import InvalidSetting, StoreUnavailable
from scheduler.settings import load
from scheduler.store.connection import connect, open_client, safe_url, speaking_to
from scheduler.store.retrying import NEVER, PatientRetry
from scheduler.store.sentinel import takes_no_writes

NOWHERE = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster"


def sentinels(client: redis.Redis) -> list[dict[str, Any]]:
    manager = cast("Any", client.connection_pool).sentinel_manager
    return [sentinel.connection_pool.connection_kwargs for sentinel in manager.sentinels]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis+sentinel://a,b:7000/mymaster", "redis+sentinel://a:26379,b:7000/mymaster/0"),
        ("REDIS+SENTINEL://u:s3cret@a/m/3", "redis+sentinel://a:26379/m/3"),
        ("rediss+sentinel://[::1]:9/m", "rediss+sentinel://::1:9/m/0"),
    ],
)
def test_a_client_names_its_sentinels_and_no_password(url: str, shown: str) -> None:
    assert shown == safe_url(connect(url))


def test_credentials_go_to_the_servers_they_are_for() -> None:
    client = open_client(
        "redis+sentinel://u:p%40w@a/m?sentinel_username=su&sentinel_password=sp&socket_timeout=7",
        socket_timeout=5,
    )
    facts = client.connection_pool.connection_kwargs

    assert ("u", "p@w", 7.0) == (facts["username"], facts["password"], facts["socket_timeout"])
    assert [("su", "sp")] == [(s["username"], s["password"]) for s in sentinels(client)]


def test_tls_is_spoken_with_the_sentinels_too() -> None:
    client = open_client("rediss+sentinel://a,b/m?ssl_ca_certs=ca.pem")

    assert issubclass(
        cast("Any", client.connection_pool).connection_class, SentinelManagedSSLConnection
    )
    assert ["ca.pem", "ca.pem"] == [fact["ssl_ca_certs"] for fact in sentinels(client)]


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://a:26379",
        "redis+sentinel:///mymaster",
        "redis+sentinel://a:port/m",
        "redis+sentinel://a,,b/m",
        "redis+sentinel://a/m/first",
        "redis+sentinel://a/m?no_such_option=1",
        "redis://a?no_such_option=1",
    ],
)
def test_a_url_that_is_none_is_told_in_one_sentence(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"redis_url: it is no Redis URL such as .*: .+"):
        load(redis_url=url)


def test_sentinels_that_do_not_answer_are_told_in_one_sentence() -> None:
    client = connect(NOWHERE, policy=NEVER)

    with (
        pytest.raises(StoreUnavailable, match=r"no Sentinel of .* answers now") as caught,
        speaking_to(client),
    ):
        client.ping()

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "is_so"),
    [
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("UNBLOCKED force unblock from blocking operation", True),
        ("Error running script: @user_script:1: -READONLY You can't write", True),
        ("WRONGTYPE Operation against a key", False),
        ("unknown command READONLY", False),
    ],
)
def test_a_server_that_takes_no_writes_is_away_and_not_wrong(says: str, *, is_so: bool) -> None:
    assert is_so == takes_no_writes(redis.ResponseError(says))


def test_patience_ends_and_is_not_multiplied_where_calls_lie_within_each_other() -> None:
    calls = []

    def connecting() -> None:
        calls.append(1)
        raise RedisConnectionError("down")

    def command() -> None:
        PatientRetry(0.2).call_with_retry(connecting, lambda _: None)

    with pytest.raises(RedisConnectionError, match="down"):
        PatientRetry(0.2).call_with_retry(command, lambda _: None)

    assert len(calls) > 1


@pytest.mark.parametrize(("url", "patient"), [(NOWHERE, True), ("redis://h", False)])
def test_only_where_another_primary_may_come_is_it_waited_for(url: str, *, patient: bool) -> None:
    client = connect(url, patience=1.0)

    assert patient == isinstance(client.get_retry(), PatientRetry)
