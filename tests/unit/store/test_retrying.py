"""What is tried again, how often, and what never is."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import RevisionConflict, StoreUnavailable
from scheduler.operations.policy import change_group
from scheduler.settings import load
from scheduler.store.connection import connect, speaking_to
from scheduler.store.groups import GroupRepository
from scheduler.store.retrying import NEVER, RepeatPolicy, execute_with_retry, retry_txn
from tests.unit.store.lives import GROUP, World

AT_ONCE = RepeatPolicy(times=3, initial=0, longest=0)


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    """A call that fails so often before it answers, and the tries it saw."""
    tries: list[int] = []

    def call() -> str:
        tries.append(len(tries))
        if len(tries) <= times:
            raise error
        return "done"

    return call, tries


@given(st.integers(0, 6), st.integers(0, 4))
def test_a_call_whose_connection_breaks_is_tried_as_often_as_the_policy_says(
    breaks: int, times: int
) -> None:
    """K14."""
    call, tries = failing(breaks, redis.ConnectionError("reset"))
    policy = RepeatPolicy(times, 0, 0)

    if breaks <= times:
        assert "done" == execute_with_retry(call, policy)
    else:
        with pytest.raises(redis.ConnectionError, match="reset"):
            execute_with_retry(call, policy)
    assert min(breaks, times) + 1 == len(tries)


@pytest.mark.parametrize("error", [redis.ResponseError("no"), ValueError("no"), KeyError("no")])
def test_what_was_answered_is_not_asked_again(error: Exception) -> None:
    """K14: only what is safe."""
    for again in (execute_with_retry, retry_txn):
        call, tries = failing(1, error)
        with pytest.raises(type(error)):
            again(call, AT_ONCE)
        assert 1 == len(tries)


def test_a_conflict_is_read_anew_and_a_broken_connection_is_none() -> None:
    conflict = RevisionConflict(group="g", found="2", expected=1)
    call, tries = failing(2, conflict)

    assert "done" == retry_txn(call, AT_ONCE)
    assert 3 == len(tries)
    with pytest.raises(redis.ConnectionError):
        retry_txn(failing(1, redis.ConnectionError("reset"))[0], AT_ONCE)
    with pytest.raises(RevisionConflict):
        retry_txn(failing(1, conflict)[0], NEVER)


def test_a_server_that_accepts_and_stays_silent_is_told_of_in_time() -> None:
    """K14: connecting, its greeting and the command are tried within each other, all in one time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        policy = RepeatPolicy(times=20, initial=0, longest=0)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        client = connect(url, policy=policy, timeout=0.1)
        of_command: Any = client.get_retry()
        of_connection: Any = client.connection_pool.connection_kwargs["retry"]
        of_command._seconds = of_connection._seconds = 0.15
        began = monotonic()
        with pytest.raises(StoreUnavailable, match="Timeout"), speaking_to(client):
            client.ping()
        took = monotonic() - began
        client.close()

    # Tried twice; and what a busy machine needs beside.
    assert 0.2 <= took < 5.0


def test_waits_grow_to_the_longest_and_no_further() -> None:
    waits = RepeatPolicy(initial=0.1, longest=0.5).of_commands()._backoff

    found = [max(waits.compute(number) for _ in range(50)) for number in range(1, 12)]

    assert all(wait <= 0.5 for wait in found)
    assert found[0] <= 0.2 < max(found)


def test_a_client_repeats_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("REPEATS", "7"), ("REPEAT_INITIAL", "5ms"), ("REPEAT_LONGEST", "1s")):
        monkeypatch.setenv(f"SCHEDULER_{name}", value)

    policy = load().repeat_policy

    assert RepeatPolicy(7, 0.005, 1.0) == policy
    assert 7 == connect("redis://h", policy=policy).get_retry().get_retries()  # type: ignore[union-attr]


def changed_meanwhile(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Somebody else changes the group between looking and changing, so often."""
    read, left = GroupRepository.read, [times]

    def look(groups: GroupRepository, name: str) -> Any:
        found = read(groups, name)
        if left[0]:
            left[0] -= 1
            groups.configure(name, {"max_rescues": 10 + left[0]})
        return found

    monkeypatch.setattr(GroupRepository, "read", look)


def test_two_who_change_a_group_at_once_both_win(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K14: the second reads and checks anew, and keeps what the first has changed."""
    changed_meanwhile(monkeypatch, 2)

    change_group(world.groups, GROUP, {"grows": True}, repeats=AT_ONCE)

    options = world.groups.get(GROUP)
    assert (True, 10) == (options.grows, options.max_rescues)


def test_who_named_a_revision_is_told_of_the_other_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = world.groups.read(GROUP).revision
    changed_meanwhile(monkeypatch, 1)

    with pytest.raises(RevisionConflict):
        change_group(world.groups, GROUP, {"grows": True}, expected=seen, repeats=AT_ONCE)

    assert not world.groups.get(GROUP).grows


def test_who_never_wins_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    changed_meanwhile(monkeypatch, 9)

    with pytest.raises(RevisionConflict):
        change_group(world.groups, GROUP, {"grows": True}, repeats=AT_ONCE)
