"""Events: one per change of state, without holes, and a reader that fell behind is told."""

from __future__ import annotations

import pytest
import redis

from scheduler.domain import moves as m
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.events import CATALOGUE, EventData
from scheduler.store.events import EventRepository
from scheduler.store.keys import Keys
from tests.unit.store.lives import GROUP, S, World
from tests.unit.store.words import CASES, reach, run


def numbers(events: list[EventData]) -> list[int]:
    return [event.seq for event in events]


def test_numbers_have_no_holes_and_one_epoch(world: World) -> None:
    """W7."""
    for state in S:
        world.into(state)

    events = world.events.since("0-0")

    assert list(range(1, len(events) + 1)) == numbers(events)
    assert 1 == len({event.epoch for event in events})


def test_every_event_of_every_script_is_in_the_catalogue(world: World) -> None:
    for case in CASES.values():
        reach(world, case)
    world.leader = world.lead()

    told = {event.name for event in world.events.since("0-0", limit=10_000)}

    assert told <= set(CATALOGUE)


def test_a_life_is_told_in_order(world: World) -> None:
    """K12, J9."""
    session = world.into(S.SUCCEEDED)

    told = [event for event in world.events.since("0-0") if event.fields.get("session") == session]

    assert ["ready", "scheduled", "preparing", "running", "succeeded"] == [
        e.name.split(".")[1] for e in told
    ]
    assert ["", "READY", "SCHEDULED", "PREPARING", "RUNNING"] == [
        event.fields["from"] for event in told
    ]
    assert ["submit", "place", "claim", "start", "end"] == [event.fields["verb"] for event in told]
    assert ["0", "0", "1", "1", "1"] == [event.fields["attempt"] for event in told]
    assert {world.get(session).placement} == {event.fields["placement"] for event in told[1:]}
    assert all(int(event.fields["at"]) > 0 for event in told)


def test_reading_goes_on_where_it_stopped(world: World) -> None:
    world.into(S.RUNNING)
    everything = world.events.since("0-0")

    first = world.events.since("0-0", limit=3)
    rest = world.events.since(first[-1].id)

    assert everything == first + rest
    assert everything[-2:] == world.events.newest(2)
    assert everything[-1].id == world.events.last_id()
    assert everything[0].id == world.events.oldest_id()
    assert everything[3:] == world.events.wait(first[-1].id, timeout=1.0)


def test_a_reader_that_fell_behind_is_told(world: World) -> None:
    for _ in range(5):
        world.submit()
    everything = world.events.since("0-0")
    world.client.xtrim(world.keys.events(), maxlen=2, approximate=False)

    assert world.events.gap_after(everything[0].id)
    assert world.events.gap_after(everything[-4].id)
    assert not world.events.gap_after(everything[-3].id)
    assert not world.events.gap_after(everything[-1].id)
    assert not world.events.gap_after("0-0")


def test_a_new_epoch_is_a_gap(world: World) -> None:
    old = world.events.last_id()
    world.client.delete(world.keys.events(), world.keys.counters())
    world.client.hset(world.keys.counters(), "epoch", int(old.split("-")[0]) + 1)
    world.submit()

    assert world.events.gap_after(old)
    assert (int(old.split("-")[0]) + 1, 1) == tuple(map(int, world.events.last_id().split("-")))


def test_an_empty_stream_has_no_gap(redis_client: redis.Redis, keys: Keys) -> None:
    events = EventRepository(redis_client, keys)

    assert ("0-0", "0-0", []) == (events.last_id(), events.oldest_id(), events.newest(5))
    assert not events.gap_after("5-5")


@pytest.mark.parametrize(
    "event_id", ["", "1", "-", "a-b", "1-", "-1", "1-2-3", "²-1", "1 -2", "9" * 40 + "-1"]
)
def test_what_is_no_event_id_is_refused(world: World, event_id: str) -> None:
    with pytest.raises(InvalidSetting):
        world.events.since(event_id)


def test_the_stream_is_trimmed_to_its_cap(world: World) -> None:
    run(world, "schema/stamp", version=1, events_cap=100)

    first = world.events.last_id()
    for _ in range(4):
        world.apply(*[m.Tell(GROUP, "agents.storm", "x")] * 100)

    assert 100 <= world.client.xlen(world.keys.events()) < 400
    assert world.events.gap_after(first)
