"""A profile begins when it was asked for, ends in time, and costs nothing else."""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from scheduler.domain.clock import Clock
from scheduler.domain.errors import StoreUnavailable
from scheduler.leader.profiling import Profiling
from scheduler.observability.logs import get_logger
from scheduler.store import profiles
from scheduler.store.keys import Keys
from scheduler.store.profiles import KEPT_S, ProfileRepository


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def now_ms(self) -> int:
        return 0


@pytest.fixture
def clock() -> Hands:
    return Hands()


def busy() -> int:
    """Enough work for some samples, whatever the machine does beside it."""
    return sum(number * number for number in range(300_000))


def test_a_profile_shows_what_ran_while_it_was_taken(clock: Hands) -> None:
    """K16."""
    delivered: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
    profiling = Profiling(7, clock, lambda *told: delivered.put(told), get_logger())
    assert sys.getprofile() is None

    profiling.turn(["7 token 2000"])
    busy()
    clock.at = 1.9
    profiling.turn([])
    assert delivered.empty()
    clock.at = 2.0
    profiling.turn([])

    token, found = delivered.get(timeout=60)
    assert ("token", True, True) == (token, found["sample_count"] > 0, "busy" in str(found))
    assert sys.getprofile() is None


def test_what_was_asked_of_another_term_is_not_answered_and_nothing_is_measured(
    clock: Hands,
) -> None:
    profiling = Profiling(7, clock, lambda *_: pytest.fail("it was answered"), get_logger())

    profiling.turn(["6 token 2000"])
    clock.at = 9.0
    profiling.turn([])

    assert sys.getprofile() is None


def test_one_is_taken_at_a_time_and_none_for_longer_than_a_minute(clock: Hands) -> None:
    delivered: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
    profiling = Profiling(7, clock, lambda *told: delivered.put(told), get_logger())

    profiling.turn(["7 first 999000", "7 second 1000"])

    refused = delivered.get(timeout=60)
    assert ("second", {"error": "a profile of it is being taken already"}) == refused
    clock.at = 60.0
    profiling.turn([])
    assert "first" == delivered.get(timeout=60)[0]


def test_a_profile_that_cannot_be_delivered_harms_nobody(clock: Hands) -> None:
    tried = threading.Event()

    def put(*_: object) -> None:
        tried.set()
        raise StoreUnavailable(url="redis://h", why="it is away")

    with capture_logs() as lines:
        profiling = Profiling(7, clock, put, get_logger())
        profiling.turn(["7 first 1000", "7 second 1000"])
        assert tried.wait(60)
        for thread in threading.enumerate():
            if thread.name == "profile":
                thread.join(60)
    clock.at = 1.0
    profiling.turn([])

    assert "profile.lost" in [line["event"] for line in lines]


def test_a_profile_waits_for_its_fetcher_for_a_while_and_is_fetched_once(
    redis_client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "_LISTEN_S", 0.01)
    repository = ProfileRepository(redis_client, keys)

    repository.put("token", {"stack": "été"})

    assert 0 < redis_client.ttl(keys.profile("token")) <= KEPT_S
    assert [{"stack": "été"}, None] == [repository.take("token") for _ in range(2)]


def test_a_profile_that_is_too_large_is_replaced_by_a_sentence(
    redis_client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MOST_BYTES", 10)
    repository = ProfileRepository(redis_client, keys)

    repository.put("token", {"stack": "x" * 1_000})

    found = repository.take("token")
    assert found is not None
    assert found["error"].endswith("more than 10; ask for fewer seconds")
