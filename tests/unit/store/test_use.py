"""What owners used is recorded once per kernel, however it ends, on the days on which it was held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil

import pytest

from scheduler.domain import moves as m
from scheduler.domain.share import DAY_MS, KEPT_DAYS, Used, add_use
from scheduler.store.use import UseFollower, UseRepository
from scheduler.testing import wait_until
from tests.unit.store.lives import GROUP, S, World

#: So long it is held, s: what the test itself takes is nothing beside it.
LONG = 40_000
CPU = 1000


@pytest.fixture
def one_day(world: World) -> None:
    """What is held for some seconds now is held on one day."""
    near = 15_000
    wait_until(
        lambda: near < world.leader.now_ms() % DAY_MS < DAY_MS - near,
        within=60,
        saying="midnight is near",
    )


def days(world: World, group: str = GROUP) -> dict[int, Used]:
    today = world.leader.now_ms() // DAY_MS
    return UseRepository(world.client, world.keys).read(group, today, KEPT_DAYS)


def used(world: World) -> dict[tuple[str, str], int]:
    """Slots x seconds by owner and family, over all days."""
    found: Counter[tuple[str, str]] = Counter()
    for owners in days(world).values():
        for owner, families in owners.items():
            found.update({(owner, family): amount for family, amount in families.items()})
    return dict(found)


def kernels_counted(world: World, owner: str = "k") -> float:
    """How many kernels of one core, held since LONG ago, were counted."""
    return round(used(world).get((owner, "cpu"), 0) / (CPU * LONG), 2)


def long_placed(world: World, seconds: int = LONG, size: int = 1) -> str:
    """A session of one core per kernel that was placed long ago."""
    session = world.into(S.SCHEDULED, keypair="k", slots={"cpu": "1"}, cluster_size=size)
    since(world, session, seconds)
    return session


def since(world: World, session: str, seconds: int) -> None:
    at = world.leader.now_ms() - seconds * 1000
    world.client.hset(world.keys.session(session), "placed_at", str(at))


def end(world: World, session: str) -> None:
    world.start(session)
    assert "done" == world.over(session)


def lose(world: World, session: str) -> None:
    world.start(session)
    assert "done" == world.lose(session)


def stop(world: World, session: str) -> None:
    world.start(session)
    assert "stopping" == world.stop(session, "cancelled")
    assert "done" == world.over(session)


ENDS: dict[str, Callable[[World, str], object]] = {
    "it ended": end,
    "it was lost": lose,
    "it was lost before any claim": lambda w, s: w.lose(s),
    "its order was withdrawn": lambda w, s: w.stop(s, "unplaced"),
    "its order was withdrawn by a cancel": lambda w, s: w.stop(s, "cancelled"),
    "it was stopped": stop,
}


@pytest.mark.parametrize("how", ENDS)
def test_a_kernel_is_counted_once_however_it_ends(world: World, how: str) -> None:
    """K2: and what is told again afterwards counts nothing."""
    session = long_placed(world)
    before = kernels_counted(world)

    ENDS[how](world, session)
    once = kernels_counted(world)
    for again in (world.over, world.lose, world.stop):
        again(session)
    world.finish(session)

    assert (0, 1, 1) == (before, once, kernels_counted(world))


def test_each_kernel_of_a_session_is_counted_when_it_ends(world: World) -> None:
    session = long_placed(world, size=3)
    world.start(session)

    found = []
    for kernel in range(3):
        world.over(session, kernel)
        found.append(kernels_counted(world))

    assert [1, 2, 3] == found


def test_each_attempt_counts_what_it_held(world: World) -> None:
    """K2: retried, and rescued."""
    session = long_placed(world)
    world.start(session)
    world.over(session)
    world.finish(session, S.RETRYING)
    world.settle(session, "requeue")
    world.place(session)
    since(world, session, LONG)
    lose(world, session)
    world.finish(session, S.READY, edge="rescue")

    assert 2 == kernels_counted(world)
    assert not {"owner", "placed_at"} & world.record(session).keys()


def test_a_batch_counts_all_its_kernels(world: World) -> None:
    """K2: gathered, and written once."""
    sessions = [long_placed(world) for _ in range(3)]
    moves = []
    for session in sessions:
        world.start(session)
        placement = world.get(session).placement
        moves.append(m.Over(session, placement, 0, "0", "", "exited", "", ""))

    assert ["done"] * 3 == world.apply(*moves)
    assert ["already"] * 3 == world.apply(*moves)

    assert 3 == kernels_counted(world)


def test_devices_count_by_family_and_amounts_by_what_was_held(world: World) -> None:
    session = world.into(S.SCHEDULED, keypair="k", scopes={"user": "u"})
    slots = '{"cpu":500,"mem":256,"cuda.0":1000,"cuda.3":460}'
    world.client.hset(world.keys.session(session), "kernel:0:slots", slots)
    since(world, session, LONG)
    world.lose(session)

    expected = {("u", "cpu"): 500, ("u", "mem"): 256, ("u", "cuda"): 1460}
    assert expected == {key: amount // LONG for key, amount in used(world).items()}


def test_a_session_of_nobody_is_counted_too(world: World) -> None:
    session = world.into(S.SCHEDULED)
    since(world, session, LONG)
    world.lose(session)

    assert {("", "cpu")} == used(world).keys()


def test_what_was_held_over_midnight_is_split_there(world: World) -> None:
    """K2: Lua and Python split alike."""
    session = long_placed(world, seconds=3 * DAY_MS // 1000)
    at = int(world.record(session)["placed_at"])
    world.lose(session)
    expected: dict[int, Used] = {}
    add_use(expected, "k", {"cpu": CPU}, at, at + 3 * DAY_MS)

    found = {day: owners["k"]["cpu"] for day, owners in days(world).items()}

    assert expected.keys() == found.keys()
    today = max(found)
    for day, owners in expected.items():
        # Some ms passed since, which count today.
        late = found[day] - owners["k"]["cpu"]
        assert late == 0 if day < today else 0 <= late < 60 * CPU


def test_a_part_of_a_day_is_as_much_to_lua_as_to_python(world: World) -> None:
    """K2: of these ms a thousandth, a thousand times, is a little more to a machine."""
    part = next(ms for ms in range(1, DAY_MS) if ceil(CPU * (ms / 1000)) != ms)
    session = world.into(S.SCHEDULED, keypair="k", slots={"cpu": "1"})
    first = world.leader.now_ms() // DAY_MS - 2
    at = (first + 1) * DAY_MS - part
    world.client.hset(world.keys.session(session), "placed_at", str(at))
    world.lose(session)

    assert part == days(world)[first]["k"]["cpu"]


@pytest.mark.parametrize("seconds", [60, 10**9, -3600])
def test_what_is_on_record_is_bounded(world: World, seconds: int) -> None:
    """K2: from a clock put back to a kernel that ran for decades."""
    session = long_placed(world, seconds=seconds)
    world.lose(session)

    pattern = world.keys.use(GROUP, "*")
    found = {key: world.client.pttl(key) for key in world.client.scan_iter(pattern, count=1000)}
    assert len(found) in ({60: (1, 2), -3600: (0,)}.get(seconds, (KEPT_DAYS,)))
    assert all(0 < left <= KEPT_DAYS * DAY_MS for left in found.values())


def test_a_short_kernel_is_use_too(world: World) -> None:
    session = world.into(S.SCHEDULED, keypair="k", slots={"cpu": "1m"})
    since(world, session, 0)
    world.client.hincrby(world.keys.session(session), "placed_at", -1)
    world.lose(session)

    assert ceil(1 / 1000) <= used(world)[("k", "cpu")]


def test_spoilt_numbers_stop_nobody(world: World) -> None:
    """X8: neither the leader's script nor who reads."""
    key = world.keys.use(GROUP, str(world.leader.now_ms() // DAY_MS))
    world.client.hset(key, mapping={"k\ncpu": "much", "k\nmem": "-", "x": "9", "": "1"})
    session = world.into(S.SCHEDULED, keypair="k", slots={"cpu": "1", "mem": "1GiB"})
    assert {("", "x")} == used(world).keys()

    assert "done" == world.lose(session)

    assert {("k", "cpu"), ("k", "mem"), ("", "x")} == used(world).keys()


@pytest.mark.usefixtures("one_day")
def test_amounts_stay_exact_integers(world: World) -> None:
    """Lua's numbers are doubles: what would not be exact any more is counted as the most there is."""
    session = world.into(S.SCHEDULED, keypair="k")
    text = f'{{"cpu":{2**53 - 1}}}'
    world.client.hset(world.keys.session(session), "kernel:0:slots", text)
    since(world, session, 10)
    world.lose(session)

    assert {("k", "cpu"): 2**53 - 1} == used(world)


def test_a_group_that_is_deleted_takes_its_use_along(world: World) -> None:
    world.groups.configure("gpu", {})
    repository = UseRepository(world.client, world.keys)
    today = world.leader.now_ms() // DAY_MS
    for day in (today, today - KEPT_DAYS + 1):
        world.client.hset(world.keys.use("gpu", str(day)), mapping={"k\ncpu": "1", "": "1"})

    world.groups.delete("gpu")

    assert {} == repository.read("gpu", today, KEPT_DAYS)


@pytest.mark.usefixtures("one_day")
def test_a_day_is_read_again_only_when_it_changed(world: World) -> None:
    """K2."""
    today = world.leader.now_ms() // DAY_MS
    yesterday = world.keys.use(GROUP, str(today - 1))
    world.client.hset(yesterday, mapping={"k\ncpu": "7", "": "1"})
    follower = UseFollower(UseRepository(world.client, world.keys), GROUP)
    world.lose(long_placed(world, seconds=1))
    first = follower.read(today, KEPT_DAYS)
    again = follower.read(today, KEPT_DAYS)
    world.lose(long_placed(world, seconds=1))
    changed = follower.read(today, KEPT_DAYS)

    assert {"k": {"cpu": 7}} == first[today - 1]
    assert first[today] is again[today]
    assert first[today - 1] is changed[today - 1]
    assert 2 == round(changed[today]["k"]["cpu"] / first[today]["k"]["cpu"])
    assert {} == follower.read(today + KEPT_DAYS, 1)


@pytest.mark.usefixtures("one_day")
def test_a_key_of_another_type_stops_nobody(world: World) -> None:
    """X8."""
    world.client.set(world.keys.use(GROUP, str(world.leader.now_ms() // DAY_MS)), "spoilt")

    assert "done" == world.lose(long_placed(world, seconds=1))
    assert {} == used(world)
