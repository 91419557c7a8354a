"""API keys: shown once, kept as a digest, recognised, taken back."""

from __future__ import annotations

import io
import json

import pytest
import redis

from scheduler.auth.keys import ApiKeys
from scheduler.auth.permissions import check_allowed
from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.errors import (
    InvalidSetting,
    KeyNotFound,
    KeyRefused,
    NotAllowed,
    OfficeNotFound,
)
from scheduler.observability.logs import configure, get_logger
from scheduler.store.api_keys import ApiKeyRepository
from scheduler.store.keys import Keys
from scheduler.store.offices import OfficeRepository
from tests.unit.store.lives import contents


@pytest.fixture
def api_keys(redis_client: redis.Redis, keys: Keys) -> ApiKeys:
    """The keys of a namespace, on each server."""
    return ApiKeys(ApiKeyRepository(redis_client, keys))


def test_a_key_is_recognised_and_its_secret_is_nowhere(
    api_keys: ApiKeys, redis_client: redis.Redis, keys: Keys
) -> None:
    """J7."""
    OfficeRepository(redis_client, keys).create("acme", {})
    text, made = api_keys.create("submitter", office="acme", name="ci")

    assert made == api_keys.recognise(text)
    assert (Role.SUBMITTER, "acme", "ci") == (made.role, made.office, made.name)
    assert made.created_at > 0
    secret = text.split("_", 2)[2]
    assert secret not in str(contents(redis_client))


def test_a_revoked_key_is_refused_and_stays_on_record(api_keys: ApiKeys) -> None:
    text, made = api_keys.create("viewer")

    assert ["revoked", "already"] == [api_keys.revoke(made.id), api_keys.revoke(made.id)]
    with pytest.raises(KeyRefused, match="was revoked"):
        api_keys.recognise(text)
    (listed,) = api_keys.all()
    assert listed.revoked_at is not None


def test_a_key_expires_by_the_clock_of_redis(
    api_keys: ApiKeys, redis_client: redis.Redis, keys: Keys
) -> None:
    text, made = api_keys.create("viewer", lasts_ms=90 * 86_400_000)
    for_ever, other = api_keys.create("viewer")

    assert (made.expires_at, other.expires_at) == (made.created_at + 90 * 86_400_000, None)
    assert api_keys.recognise(text) == made
    seconds, _ = redis_client.time()
    redis_client.hset(keys.api_key(made.id), "expires_at", seconds * 1000)
    with pytest.raises(KeyRefused, match=f"API key {made.id} has expired"):
        api_keys.recognise(text)
    assert api_keys.recognise(for_ever) == other


def test_what_is_no_key_of_ours_is_refused(api_keys: ApiKeys) -> None:
    text, made = api_keys.create("viewer")
    other = "A" * 43

    for wrong in (
        "",
        "x",
        text[:-1],
        f"{text}x",
        f"sk_{made.id}_{other}",
        f"sk_{'0' * 12}_{other}",
    ):
        with pytest.raises(KeyRefused):
            api_keys.recognise(wrong)


def test_use_is_noted_once_a_minute(api_keys: ApiKeys) -> None:
    _, made = api_keys.create("viewer")
    api_keys.used(made)
    first = api_keys.get(made.id).last_used_at
    api_keys.used(made)

    assert first is not None
    assert first == api_keys.get(made.id).last_used_at


def test_bad_input_makes_no_key(api_keys: ApiKeys, redis_client: redis.Redis) -> None:
    before = contents(redis_client)

    with pytest.raises(InvalidSetting, match="did you mean 'viewer'"):
        api_keys.create("viewr")
    with pytest.raises(InvalidSetting, match="is no name"):
        api_keys.create("viewer", office="a/b")
    with pytest.raises(InvalidSetting, match="at most 64 characters"):
        api_keys.create("viewer", name="x" * 65)
    with pytest.raises(InvalidSetting, match="in 100 years at most"):
        api_keys.create("viewer", lasts_ms=101 * 365 * 86_400_000)
    with pytest.raises(OfficeNotFound, match="'nowhere' does not exist"):
        api_keys.create("viewer", office="nowhere")
    with pytest.raises(KeyNotFound, match="key list"):
        api_keys.revoke("nothing")
    assert before == contents(redis_client)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("needed", Role)
def test_a_role_may_what_those_before_it_may(role: Role, needed: Role) -> None:
    order = ["viewer", "submitter", "operator", "admin"]

    assert (order.index(role) >= order.index(needed)) is role.covers(needed)


def test_a_key_of_an_office_speaks_of_no_other() -> None:
    key = ApiKey("k1", Role.ADMIN, "acme")

    check_allowed(key, Role.ADMIN, "acme")
    for other in ("globex", ""):
        with pytest.raises(NotAllowed, match="for office acme only"):
            check_allowed(key, Role.VIEWER, other)
    with pytest.raises(NotAllowed, match="needs the role admin, API key k1 has viewer"):
        check_allowed(ApiKey("k1", Role.VIEWER), Role.ADMIN)


def test_a_key_in_a_log_line_is_taken_out() -> None:
    out = io.StringIO()
    configure("INFO", out)
    get_logger().info("asked", said=f"Bearer sk_{'0' * 12}_{'A' * 43} and more")

    assert "Bearer sk_*** and more" == json.loads(out.getvalue())["said"]
