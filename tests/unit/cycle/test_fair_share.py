"""Fair share: who used least lately goes first; use is decayed, weighed, and measured against the group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.cycle.scheduler import propose
from scheduler.cycle.sequencers.fair_share import FairShareScheduler
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.share import DAY_MS, KEPT_DAYS, Usage, Used, add_use
from scheduler.plugins.interfaces import SchedulingContext
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

TODAY = 20_000
NOON = TODAY * DAY_MS + DAY_MS // 2
CPU = 10_000
#: All of the group's cores for a day, in slots x seconds.
GROUP_DAY = CPU * DAY_MS // 1000


def context(
    days: Mapping[int, Mapping[str, float]],
    held: Mapping[str, Mapping[str, int]] | None = None,
    now_ms: int = NOON,
) -> SchedulingContext:
    """Of each owner, so many days of all the group's cores, by days ago."""
    used = {
        TODAY - ago: {owner: {"cpu": int(part * GROUP_DAY)} for owner, part in owners.items()}
        for ago, owners in days.items()
    }
    return SchedulingContext(now_ms, {"cpu": CPU}, held or {}, Usage(NOON, used))


def first(found: SchedulingContext, *owners: str, **opts: Any) -> list[str]:
    """Owners with one session each, submitted in this order, as they are picked."""
    scheduler = FairShareScheduler(opts)
    scheduler.prioritize(found, [waiting(request(keypair=owner), name=owner) for owner in owners])
    picked = []
    while session := scheduler.pick_session():
        picked.append(session.id)
    return picked


def test_an_owner_without_use_goes_first() -> None:
    """K2: users without usage ranked last is a mistake we do not repeat."""
    assert ["new", "some", "much"] == first(
        context({0: {"much": 2.0, "some": 0.001}}), "much", "some", "new"
    )


def test_a_higher_priority_goes_first_all_the_same() -> None:
    scheduler = FairShareScheduler({})
    heads = [
        waiting(request(keypair="new"), seq=1, name="new", priority=9),
        waiting(request(keypair="much"), seq=2, name="much", priority=10),
    ]
    scheduler.prioritize(context({0: {"much": 2.0}}), heads)

    picked = [scheduler.pick_session(), scheduler.pick_session()]

    assert ["much", "new"] == [session.id for session in picked if session]


@pytest.mark.parametrize(
    ("half_life", "ago", "expected"),
    [("7d", 0, 1.0), ("7d", 7, 0.5), ("7d", 14, 0.25), ("1d", 2, 0.25), ("12h", 1, 0.25)],
)
def test_use_counts_half_after_the_half_life(half_life: str, ago: int, expected: float) -> None:
    """K2."""
    scheduler = FairShareScheduler({"half_life": half_life})

    assert expected == pytest.approx(scheduler.use(context({ago: {"A": 1.0}}), "A"))


def test_what_is_older_than_the_look_back_does_not_count() -> None:
    scheduler = FairShareScheduler({"look_back": "3d"})

    assert (3, 0.0) == (scheduler.usage_days, scheduler.use(context({3: {"A": 1.0}}), "A"))
    assert scheduler.use(context({2: {"A": 1.0}}), "A") > 0
    assert (28, 1) == (
        FairShareScheduler({}).usage_days,
        FairShareScheduler({"look_back": "1h"}).usage_days,
    )


def test_the_factor_is_a_power_of_two_of_use_by_weight() -> None:
    """K2: 2^(-usage/weight)."""
    scheduler = FairShareScheduler({"weights": {"heavy": 4}})
    found = context({0: {"heavy": 2.0, "usual": 2.0}})

    heavy, usual = (dict(scheduler.share_of(found, owner).facts) for owner in ("heavy", "usual"))

    assert heavy == pytest.approx({"weight": 4.0, "use": 2.0, "factor": 2**-0.5})
    assert usual == pytest.approx({"weight": 1.0, "use": 2.0, "factor": 0.25})
    assert ["heavy", "usual"] == first(found, "usual", "heavy", weights={"heavy": 4})


def test_use_beyond_any_factor_still_orders() -> None:
    found = context({0: {"more": 5_000.0, "less": 4_000.0}})

    assert ["less", "more"] == first(found, "more", "less")


def test_slots_count_by_their_weights() -> None:
    usage = Usage(NOON, {TODAY: {"cores": {"cpu": 100_000}, "memory": {"mem": 200_000}}})
    found = SchedulingContext(NOON, {"cpu": 1000, "mem": 1000}, {}, usage)

    assert ["cores", "memory"] == first(found, "memory", "cores")
    assert ["memory", "cores"] == first(found, "memory", "cores", resource_weights={"mem": 0.1})
    assert ["memory", "cores"] == first(found, "cores", "memory", resource_weights={"mem": 0})


def test_a_family_that_no_agent_has_any_more_does_not_count() -> None:
    usage = Usage(NOON, {TODAY: {"A": {"cuda": 10**9}, "B": {"cpu": 1}}})

    assert ["A", "B"] == first(SchedulingContext(NOON, {"cpu": 1000}, {}, usage), "B", "A")


def test_what_runs_goes_on_counting_after_use_was_read() -> None:
    """K2: who just filled the cluster does not stay first."""
    days, held = {0: {"slow": 0.001}}, {"filled": {"cpu": CPU}}

    just_read = first(context(days, held), "slow", "filled")
    minutes_later = first(context(days, held, NOON + 5 * 60_000), "slow", "filled")

    assert (["filled", "slow"], ["slow", "filled"]) == (just_read, minutes_later)


def test_owners_without_any_use_alternate() -> None:
    scheduler = FairShareScheduler({})
    sessions = [
        waiting(request(keypair=owner), seq=seq, name=f"{owner}{seq}")
        for seq, owner in enumerate("AAABBB")
    ]
    made = snapshot([agent("a", 64_000)], sessions, scheduler)
    made.now_ms, made.usage = NOON, Usage(NOON, {})

    plan = propose(made, policy(scheduler=scheduler), limit=10)

    assert "ABABAB" == "".join(placement.session.id[0] for placement in plan.placements)


def test_use_is_measured_against_what_the_group_has_now() -> None:
    scheduler, usage = FairShareScheduler({}), Usage(NOON, {TODAY: {"A": {"cpu": GROUP_DAY}}})

    whole = scheduler.use(SchedulingContext(NOON, {"cpu": CPU}, {}, usage), "A")
    half = scheduler.use(SchedulingContext(NOON, {"cpu": 2 * CPU}, {}, usage), "A")

    assert (1.0, 0.5) == (whole, half)


def test_without_anything_read_nobody_has_used_anything() -> None:
    found = SchedulingContext(NOON, {"cpu": CPU}, {"A": {"cpu": 1}})

    assert ["B", "A"] == first(found, "A", "B")


@pytest.mark.parametrize(
    ("opts", "says"),
    [
        ({"half_life": "0s"}, "option 'half_life' of fair-share: it must be more than zero"),
        ({"half_life": "a week"}, "it must be a duration such as 30s, 30m, 1.5h or 2d"),
        ({"look_back": "61d"}, "use is on record for 60 days, got '61d'"),
        ({"weights": {"A": -1}}, "'weights' of fair-share"),
        ({"resource_weights": {"CPU!": 1}}, "'CPU!' is no slot; write cuda, cpu, mem or disk"),
        ({"resource_weights": {"cpu": -1}}, "'resource_weights' of fair-share"),
        ({"halflife": "7d"}, "there are: ageing, half_life, look_back, resource_weights, weights"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_a_sentence(
    opts: Mapping[str, Any], says: str
) -> None:
    """K1, K2."""
    with pytest.raises(InvalidSetting, match=says):
        FairShareScheduler(opts)


def test_slots_are_weighed_by_family_however_they_are_named() -> None:
    scheduler = FairShareScheduler({"resource_weights": {"cuda.shares": 3}})

    assert {"cuda": 3} == scheduler._resource_weights


def test_what_was_held_is_split_at_midnight_and_kept_for_so_many_days() -> None:
    used: dict[int, Used] = {}
    add_use(used, "A", {"cpu": 2}, TODAY * DAY_MS - 3_000, TODAY * DAY_MS + 500)
    add_use(used, "A", {"cpu": 2}, TODAY * DAY_MS + 9, TODAY * DAY_MS + 9)

    assert {TODAY - 1: {"A": {"cpu": 6}}, TODAY: {"A": {"cpu": 1}}} == used

    long: dict[int, Used] = {}
    add_use(long, "A", {"cpu": 2}, 0, NOON)
    assert KEPT_DAYS == len(long)
