"""The waiting room: lines of equal requests that sleep and are woken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.waiting import WaitingRoom, WaitingSession
from scheduler.domain.verdict import Cure, Verdict
from tests.unit.cycle.made import request, waiting

SMALL, LARGE = request("1"), request("2")
FULL = Verdict.blocked("agents", "no room", Cure("agents", "kernels end"))
LIMITED = Verdict.blocked(
    "concurrency", "3 of 3", Cure("scope:user:u", "one ends"), Cure("agents", "x")
)


@pytest.fixture
def room() -> WaitingRoom:
    return WaitingRoom(FifoScheduler({}).rank)


def heads(room: WaitingRoom) -> set[str]:
    return {session.id for session in room.heads()}


def fill(room: WaitingRoom, *sessions: WaitingSession) -> None:
    for session in sessions:
        room.add(session)


def test_equal_requests_stand_in_one_line(room: WaitingRoom) -> None:
    fill(
        room,
        *[waiting(kind, seq=i, name=f"{i}") for i, kind in enumerate([SMALL, LARGE, SMALL, LARGE])],
    )

    assert ({"0", "1"}, 2) == (heads(room), len(list(room.lines())))


def test_a_session_waits_once(room: WaitingRoom) -> None:
    session = waiting(SMALL)

    fill(room, session, session)

    assert [session] == room.of(SMALL.id)


def test_a_line_that_was_refused_sleeps_until_one_of_its_cures(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL, name="a"))
    room.put_to_sleep(SMALL.id, LIMITED)
    seen = [heads(room)]
    for event in ("scope:user:other", "scope:user:u"):
        room.wake(event)
        seen.append(heads(room))

    assert [set(), set(), {"a"}] == seen


def test_a_line_woken_by_one_cure_is_not_kept_for_the_other(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL))
    room.put_to_sleep(SMALL.id, LIMITED)

    room.wake("agents")

    assert {} == room._sleepers


def test_the_same_event_wakes_every_line_it_could_cure(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL, name="a"), waiting(LARGE, name="b"))
    for kind in (SMALL, LARGE):
        room.put_to_sleep(kind.id, FULL)

    room.wake("agents")

    assert {"a", "b"} == heads(room)


def test_the_sweep_wakes_a_line_whose_refusal_named_no_cure(room: WaitingRoom) -> None:
    """A plugin may forget to name one; its sessions must not wait for ever."""
    fill(room, waiting(SMALL, name="a"))
    room.put_to_sleep(SMALL.id, Verdict.blocked("plugin", "no"))

    room.wake_all()

    assert {"a"} == heads(room)


def test_who_joins_a_sleeping_line_does_not_wake_it(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL))
    room.put_to_sleep(SMALL.id, FULL)

    fill(room, waiting(SMALL))

    assert set() == heads(room)


def test_who_comes_first_in_a_sleeping_line_takes_its_turn(room: WaitingRoom) -> None:
    """X6: it may rank before whoever room is promised to."""
    fill(room, waiting(SMALL))
    room.put_to_sleep(SMALL.id, FULL)

    fill(room, waiting(SMALL, priority=100, name="urgent"))

    assert {"urgent"} == heads(room)
    assert not room.put_to_sleep(SMALL.id, FULL)
    assert set() == heads(room)


def test_a_refusal_is_counted_each_time_and_news_only_when_it_differs(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL))

    news = [room.put_to_sleep(SMALL.id, verdict) for verdict in (FULL, FULL, LIMITED)]

    line = room.line(SMALL.id)
    assert line is not None
    assert ([True, False, True], 3) == (news, line.tries)


def test_a_placed_session_is_followed_by_the_next_of_its_line(room: WaitingRoom) -> None:
    first, second = waiting(SMALL), waiting(SMALL)
    fill(room, second, first)

    assert [second, None] == [room.successor(first), room.successor(second)]


def test_a_line_ends_with_its_last_session_whether_awake_or_asleep(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL, name="a"), waiting(LARGE, name="b"))
    room.put_to_sleep(SMALL.id, FULL)

    for session in ("a", "b"):
        room.discard(session)

    assert (0, [], {}, set()) == (len(room), list(room.lines()), room._sleepers, room._awake)


def test_discarding_who_does_not_wait_changes_nothing(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL))

    assert (None, 1) == (room.discard("nobody"), len(room))


def test_a_session_that_left_the_middle_of_a_line_may_come_back(room: WaitingRoom) -> None:
    """Its old entry still stands in the heap, with the same rank: the two must not be compared."""
    head, retried = waiting(SMALL, seq=1, name="head"), waiting(SMALL, seq=2, name="retried")
    fill(room, head, retried)
    room.discard("retried")

    fill(room, waiting(SMALL, seq=2, name="retried"))

    successor = room.successor(head)
    assert successor is not None
    assert ("retried", False, None) == (
        successor.id,
        successor is retried,
        room.successor(successor),
    )


def test_a_sleeping_line_does_not_keep_who_left_it(room: WaitingRoom) -> None:
    """Sessions expire from a line that sleeps for weeks."""
    fill(room, *[waiting(SMALL, seq=i, name=f"s{i}") for i in range(10_000)])
    room.put_to_sleep(SMALL.id, FULL)

    for number in range(1, 10_000):
        room.discard(f"s{number}")

    line = room.line(SMALL.id)
    assert line is not None
    assert len(line.heap) < 100


def test_another_scheduler_orders_the_lines_anew(room: WaitingRoom) -> None:
    old, new = waiting(SMALL, seq=1, name="old"), waiting(SMALL, seq=2, name="new")
    fill(room, old, new)

    room.rank_anew(lambda session: (-session.seq,))

    assert {"new"} == heads(room)
    assert ["new", "old"] == [s.id for s in room.of(SMALL.id)]


def test_what_waits_is_known_by_id(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL, name="a"), waiting(LARGE, name="b"))

    assert ({"a", "b"}, True, False) == (room.ids(), "a" in room, "c" in room)


def test_a_kind_whose_office_says_something_else_stands_where_it_stood(room: WaitingRoom) -> None:
    """J2: the room of a shadow follows; a line that was refused is looked at again."""
    room.twin = WaitingRoom(FifoScheduler({}).rank)
    fill(room, *[waiting(SMALL, seq=i, name=f"{i}") for i in range(4)])
    room.discard("1")
    room.put_to_sleep(SMALL.id, FULL)
    other = replace(SMALL, timeout_ms=7)

    room.renew(other)
    room.renew(LARGE)  # of which nobody waits

    for each in (room, room.twin):
        assert ["0", "2", "3"] == [s.id for s in sorted(each.of(SMALL.id), key=lambda s: s.seq)]
        assert {7} == {session.request.timeout_ms for session in each.of(SMALL.id)}
        assert {"0"} == heads(each)
    assert room.discard("2")
    assert 2 == len(room) == len(room.twin)


def test_who_is_asked_for_is_looked_at_again(room: WaitingRoom) -> None:
    fill(room, waiting(SMALL, name="0"))
    room.put_to_sleep(SMALL.id, FULL)

    room.wake_of("unknown")
    assert set() == heads(room)
    room.wake_of("0")
    assert {"0"} == heads(room)
