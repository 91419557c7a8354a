"""A leader reads what was used and adds what runs: nothing twice, nothing lost, the same in every term."""

from __future__ import annotations

import pytest
import redis

from scheduler.cycle.sequencers.fair_share import FairShareScheduler
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.share import DAY_MS, Used, add_use
from scheduler.leader.state import LeaderState, Repositories, load
from scheduler.leader.usage import UsageReader
from scheduler.store.keys import Keys
from scheduler.store.use import UseRepository
from tests.unit.store.lives import GROUP, S, World

DAYS = 28
CPU = 1000
#: What tests take is nothing beside it, s.
LONG = 400_000


@pytest.fixture
def world(redis_client: redis.Redis, keys: Keys) -> World:
    """A namespace with a group and a leader."""
    return World(redis_client, keys)


def led(world: World, days: int = DAYS) -> LeaderState:
    """What a new term knows."""
    repositories = Repositories(
        world.lead(),
        world.sessions,
        world.agents,
        world.scopes,
        world.offices,
        UseRepository(world.client, world.keys),
    )
    state = load(repositories, ScalingGroupOpts(), FairShareScheduler({}))
    state.snapshot.now_ms = repositories.leader.now_ms()
    UsageReader(state, repositories).read(days)
    return state


def placed(world: World, owner: str, seconds: int = LONG, size: int = 1) -> str:
    """A session of one core per kernel that was placed so long ago."""
    session = world.into(S.RUNNING, keypair=owner, slots={"cpu": "1"}, cluster_size=size)
    at = world.leader.now_ms() - seconds * 1000
    world.client.hset(world.keys.session(session), "placed_at", str(at))
    return session


def kernels_used(state: LeaderState, owner: str) -> float:
    """How many kernels of one core, each for LONG, an owner has used."""
    usage = state.snapshot.usage
    assert usage is not None
    both = (*usage.recorded.values(), *usage.running.values())
    used = sum(owners.get(owner, {}).get("cpu", 0) for owners in both)
    return round(used / (CPU * LONG), 2)


def test_what_runs_counts_as_far_as_it_got_and_once_when_it_is_over(world: World) -> None:
    """K2: the same before, between and after the ends of its kernels."""
    session = placed(world, "A", size=2)
    found = [kernels_used(led(world), "A")]
    for kernel in range(2):
        world.leader = world.lead()
        world.over(session, kernel)
        found.append(kernels_used(led(world), "A"))
    world.leader = world.lead()
    world.finish(session)
    found.append(kernels_used(led(world), "A"))

    assert [2, 2, 2, 2] == found


def test_decayed_use_is_the_same_after_a_take_over(world: World) -> None:
    """K2, X8."""
    today = world.leader.now_ms() // DAY_MS
    for ago, owner, amount in ((0, "A", 5), (3, "A", 7), (9, "B", 11), (40, "B", 13)):
        key = world.keys.use(GROUP, str(today - ago))
        world.client.hset(key, mapping={f"{owner}\ncpu": str(amount * CPU * LONG), "": "1"})
    placed(world, "B")
    scheduler = FairShareScheduler({})

    first, second = led(world), led(world)

    for owner in "AB":
        was = scheduler.use(first.snapshot.context, owner)
        now = scheduler.use(second.snapshot.context, owner)
        assert was > 0
        assert was == pytest.approx(now, rel=1e-4)
    assert (12, 12) == (kernels_used(first, "A"), kernels_used(second, "B"))


def test_a_scheduler_that_does_not_look_back_is_given_nothing(world: World) -> None:
    placed(world, "A")

    assert led(world, 0).snapshot.usage is None


def test_lua_and_python_count_the_same_on_every_day(world: World) -> None:
    """K2: so that nothing jumps when a kernel ends."""
    session = placed(world, "A", 3 * DAY_MS // 1000)
    running = led(world).snapshot.usage
    world.leader = world.lead()
    world.over(session)
    over = led(world).snapshot.usage
    assert running
    assert over
    since = running.at_ms - 3 * DAY_MS
    expected: dict[int, Used] = {}
    add_use(expected, "A", {"cpu": CPU}, since, running.at_ms)

    today = running.at_ms // DAY_MS
    assert expected.keys() <= over.recorded.keys()
    for day in range(today - 2, today):
        assert expected[day] == running.running[day] == over.recorded[day]
    assert ({}, {}) == (running.recorded, over.running)
