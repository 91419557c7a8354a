"""Who is silent, who is lost, which kernels nobody runs any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedSession
from scheduler.leader.watch import Seen, Watch, WatchRules
from tests.unit.intake.made import placed

RULES = WatchRules(not_ready_after=5_000, margin=2_000, storm_pause=60_000)
BEGAN = 1_000_000
BOOT = "b" * 32
LOST_AFTER = 30_000 + 3_000 + 2_000


def agent(
    name: str = "a0",
    status: AgentStatus = AgentStatus.READY,
    *,
    boot: str = BOOT,
    admitted_at: int = 0,
) -> AgentData:
    return AgentData(
        id=name,
        group="g",
        boot=boot,
        status=status,
        drained=False,
        capacity={},
        free={},
        admitted_at=admitted_at,
    )


def beat(at: int, *running: str, claims: int = 0, boot: str = BOOT) -> Beat:
    return Beat(at, boot, claims, running)


@pytest.fixture
def watch() -> Watch:
    return Watch(RULES, BEGAN)


def look(watch: Watch, now: int, agents: list[AgentData] | None = None, **beats: int) -> Seen:
    return watch.look(
        agents or [agent()], {name: beat(BEGAN + at) for name, at in beats.items()}, BEGAN + now
    )


def silent(seen: Seen) -> list[str]:
    return [data.id for data in seen.silent]


def lost(seen: Seen) -> list[str]:
    return [data.id for data in seen.lost]


# Silence


def test_silence_counts_from_the_beat(watch: Watch) -> None:
    assert [[], ["a0"]] == [silent(look(watch, now, a0=100_000)) for now in (105_000, 105_001)]


def test_silence_counts_from_the_beginning_of_the_term_where_no_beat_is_newer(watch: Watch) -> None:
    """What was said while no leader lived is no silence."""
    assert [[], ["a0"]] == [silent(look(watch, now, a0=-900_000)) for now in (5_000, 5_001)]


def test_silence_counts_from_the_start_of_redis(watch: Watch) -> None:
    watch.redis_restarted(BEGAN + 50_000)

    assert [[], ["a0"]] == [silent(look(watch, now)) for now in (55_000, 55_001)]


def test_silence_counts_from_the_admission(watch: Watch) -> None:
    fresh = [agent(admitted_at=BEGAN + 20_000)]

    assert [[], ["a0"]] == [silent(look(watch, now, fresh)) for now in (25_000, 25_001)]


def test_the_beat_of_another_boot_is_no_beat(watch: Watch) -> None:
    seen = watch.look([agent()], {"a0": beat(BEGAN + 9_000, boot="f" * 32)}, BEGAN + 9_000)

    assert ["a0"] == silent(seen)


def test_an_agent_that_beats_again_is_back(watch: Watch) -> None:
    seen = look(watch, 10_000, [agent(status=AgentStatus.NOT_READY)], a0=9_000)

    assert ["a0"] == [data.id for data in seen.back]


def test_one_that_counts_as_lost_and_beats_is_alive_and_over_once_it_is_silent(
    watch: Watch,
) -> None:
    data = agent(status=AgentStatus.LOST)
    seen = look(watch, 10_000, [data], a0=9_000)
    over = watch.is_over(data)
    look(watch, 14_001, [data], a0=9_000)

    assert ([], ["a0"], False, True) == (
        seen.back,
        [each.id for each in seen.alive],
        over,
        watch.is_over(data),
    )


def test_an_agent_whose_silence_was_forgiven_is_not_back_before_it_beats(watch: Watch) -> None:
    assert [] == look(watch, 1_000, [agent(status=AgentStatus.NOT_READY)]).back


@pytest.mark.parametrize("data", [agent(boot=""), agent(status=AgentStatus.LEFT)])
def test_an_agent_that_left_or_was_never_admitted_is_not_judged(
    watch: Watch, data: AgentData
) -> None:
    seen = look(watch, 900_000, [data])

    assert ([], [], []) == (seen.silent, seen.lost, seen.back)


def test_an_agent_is_lost_after_lease_grace_and_margin(watch: Watch) -> None:
    """Architecture 8."""
    assert [[], ["a0"]] == [lost(look(watch, now, a0=0)) for now in (LOST_AFTER - 1, LOST_AFTER)]


def test_an_agent_is_lost_by_its_own_lease(watch: Watch) -> None:
    short = [replace(agent(), lease_ms=1_000, grace_ms=0)]

    assert [[], ["a0"]] == [lost(look(watch, now, short)) for now in (2_999, 5_001)]


def test_an_agent_is_lost_once(watch: Watch) -> None:
    assert [] == lost(look(watch, 900_000, [agent(status=AgentStatus.LOST)]))


def test_how_long_kernels_may_still_live_is_told(watch: Watch) -> None:
    look(watch, 10_000, a0=0)

    assert LOST_AFTER - 10_000 == watch.ms_until_lost(agent())


# Storms

MANY = [agent(f"a{i}") for i in range(10)]


def test_many_agents_silent_at_once_are_not_rescued_for_a_minute(watch: Watch) -> None:
    """Architecture 8: more than max(2, a fifth)."""
    first = look(watch, LOST_AFTER, MANY)
    within = look(watch, LOST_AFTER + 59_999, MANY)
    after = look(watch, LOST_AFTER + 60_000, MANY)

    assert ((10, []), (0, []), (0, 10)) == (
        (first.storm, lost(first)),
        (within.storm, lost(within)),
        (after.storm, len(lost(after))),
    )


@pytest.mark.parametrize(("alive", "storm"), [(8, 0), (7, 3)])
def test_a_storm_is_more_than_two_and_more_than_a_fifth(
    watch: Watch, alive: int, storm: int
) -> None:
    seen = look(watch, LOST_AFTER, MANY, **{f"a{i}": LOST_AFTER for i in range(alive)})

    assert (storm, 0 if storm else 2) == (seen.storm, len(lost(seen)))


def test_agents_that_fall_silent_one_after_the_other_are_no_storm(watch: Watch) -> None:
    seen = look(watch, 300_000, MANY[:4], a0=0, a1=40_000, a2=80_000, a3=300_000)

    assert (0, ["a0", "a1", "a2"]) == (seen.storm, lost(seen))


def test_a_second_storm_is_seen_although_a_machine_of_the_first_is_still_dead(watch: Watch) -> None:
    look(watch, LOST_AFTER, MANY)
    look(watch, LOST_AFTER + 60_000, MANY)
    recovered = [agent("a0", AgentStatus.LOST), *MANY[1:]]
    calm = {f"a{i}": 200_000 for i in range(1, 10)}
    look(watch, 200_000, recovered, **calm)

    second = look(watch, 200_000 + LOST_AFTER, recovered, **calm)

    assert (9, []) == (second.storm, lost(second))


def test_who_is_gone_is_not_remembered_as_silent(watch: Watch) -> None:
    look(watch, LOST_AFTER, MANY)

    look(watch, LOST_AFTER + 1, [agent("new")])

    assert {"new"} == set(watch._fell_silent)


# Misses and strays


def running(claim: int = 0) -> PlacedSession:
    session = placed(SessionState.RUNNING, [KernelState.UP])
    return session.with_kernel(replace(session.kernels[0], claim=claim))


def missing(
    watch: Watch, at: int, *named: str, claims: int = 5, session: PlacedSession | None = None
) -> int:
    watch.look([agent()], {"a0": beat(BEGAN + at, *named, claims=claims)}, BEGAN + at)
    return len(watch.missing(agent(), [session or running()]))


def test_a_kernel_is_gone_after_two_beats_without_it(watch: Watch) -> None:
    assert [0, 1] == [missing(watch, at) for at in (1_000, 3_000)]


def test_looking_twice_at_one_beat_is_one_miss(watch: Watch) -> None:
    assert [0, 0, 0] == [missing(watch, 1_000) for _ in range(3)]


def test_a_beat_that_names_the_kernel_begins_the_count_anew(watch: Watch) -> None:
    order = running().order(0)

    assert [0, 0, 0] == [missing(watch, 1_000), missing(watch, 3_000, order), missing(watch, 5_000)]


def test_a_claim_newer_than_the_beat_is_no_miss(watch: Watch) -> None:
    """Architecture 8: claims newer than the beat are left aside."""
    late = running(claim=6)

    assert [0, 0, 0, 1] == [
        missing(watch, at, claims=c, session=late) for at, c in ((1, 5), (2, 5), (3, 6), (4, 6))
    ]


def test_an_order_nobody_claimed_is_not_missed(watch: Watch) -> None:
    waiting = placed(SessionState.SCHEDULED, [KernelState.ORDERED])

    assert [0, 0] == [missing(watch, at, session=waiting) for at in (1_000, 3_000)]


def test_without_a_beat_nothing_is_missed(watch: Watch) -> None:
    watch.look([agent()], {}, BEGAN)

    assert [] == watch.missing(agent(), [running()])


def test_misses_of_kernels_that_ended_otherwise_are_forgotten(watch: Watch) -> None:
    missing(watch, 1_000)
    watch.missing(agent(), [])

    assert {"a0": {}} == watch._misses


def strays(watch: Watch, at: int, *named: str, known: tuple[PlacedSession, ...] = ()) -> list[str]:
    watch.look([agent()], {"a0": beat(BEGAN + at, *named)}, BEGAN + at)
    return watch.strays(agent(), known)


def test_an_order_that_no_placement_knows_is_a_stray_after_two_looks_apart(watch: Watch) -> None:
    order = running().order(0)

    assert [[], [], [order]] == [strays(watch, at, order) for at in (0, 10_000, 10_001)]


def test_an_order_that_is_known_or_no_order_is_no_stray(watch: Watch) -> None:
    session = running()

    assert [[], []] == [
        strays(watch, at, session.order(0), "noise", known=(session,)) for at in (0, 20_000)
    ]


def test_strays_that_ended_are_forgotten(watch: Watch) -> None:
    strays(watch, 0, running().order(0))
    strays(watch, 2_000, "noise")
    strays(watch, 4_000)

    assert {} == watch._strays
