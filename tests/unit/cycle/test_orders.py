"""The orders of the built-in selectors: what comes first, how ties are broken, what options change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.scheduler import propose
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.selectors.fragmentation import FragmentationAgentSelector
from scheduler.cycle.selectors.legacy import LegacyAgentSelector
from scheduler.cycle.selectors.roundrobin import RoundRobinAgentSelector
from scheduler.domain.constraints import Constraints
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.group import ScalingGroupOpts
from scheduler.plugins.interfaces import AbstractAgentSelector, Need
from scheduler.plugins.loading import load_agent_selector
from tests.unit.cycle.made import agent, policy, request, snapshot, table, waiting

CPU = Need.of([{"cpu": 1000}])
SHARE = Need.of([{"cpu": 100, "mem": 1, "cuda.shares": 100}])
EVERY = [
    ConcentratedAgentSelector,
    DispersedAgentSelector,
    FragmentationAgentSelector,
    LegacyAgentSelector,
    RoundRobinAgentSelector,
]


def chosen(selector: AbstractAgentSelector, view: AgentTable, need: Need = CPU) -> str | None:
    index = selector.assign_agent_for_session(view, need)
    return None if index is None else view.agent_id(index)


def place(selector: AbstractAgentSelector, view: AgentTable, need: Need = CPU) -> str | None:
    """Choose, and take what was chosen."""
    index = selector.assign_agent_for_session(view, need)
    if index is None:
        return None
    for slots in selector.choose_devices(view, index, need) or ():
        view.take(view.agent_id(index), slots)
    return view.agent_id(index)


@pytest.mark.parametrize("plugin", EVERY)
def test_ties_are_broken_by_id(plugin: type[AbstractAgentSelector]) -> None:
    """K3: the same input gives the same answer, in whatever order agents came."""
    for names in ("cab", "bca", "abc"):
        view = table([agent(name, devices=2) for name in names])

        assert "a" == chosen(plugin({}), view)
        assert "a" == chosen(plugin({}), view, SHARE)


def test_legacy_takes_the_largest_agent_whatever_runs_on_it() -> None:
    """K3."""
    view = table([agent("small"), agent("large", 64_000, free={"cpu": 1000, "mem": 8192})])

    assert "large" == chosen(LegacyAgentSelector({}), view)


def test_legacy_leaves_accelerators_to_who_asks_for_them() -> None:
    """K3: the fewest extra slots come before capacity."""
    view = table([agent("with", 64_000, devices=2), agent("without")])

    assert "without" == chosen(LegacyAgentSelector({}), view)


def test_legacy_compares_devices_before_cpu() -> None:
    view = table([agent("cpu", 64_000, devices=2), agent("devices", 4_000, devices=4)])

    assert "devices" == chosen(LegacyAgentSelector({}), view, SHARE)


LESS = {
    "less-cpu": {"cpu": 1000, "mem": 8192, "cuda.0": 1000, "cuda.1": 1000},
    "less-cuda": {"cpu": 4000, "mem": 8192, "cuda.0": 0, "cuda.1": 1000},
    "less-mem": {"cpu": 4000, "mem": 100, "cuda.0": 1000, "cuda.1": 1000},
}


@pytest.mark.parametrize(
    ("priority", "first"),
    [
        ([], "less-cuda"),
        (["cpu"], "less-cpu"),
        (["mem", "cpu"], "less-mem"),
        (["cuda.shares"], "less-cuda"),
        (["cpu", "cuda.device", "cuda.shares"], "less-cpu"),
        (["rocm", "mem"], "less-mem"),
    ],
)
def test_the_configured_order_of_slots_is_kept_by_family(priority: list[str], first: str) -> None:
    """K3: ``cuda.shares`` belongs to ``cuda``; what is not named follows in the usual order."""
    view = table([agent(name, devices=2, free=free) for name, free in LESS.items()])

    assert first == chosen(ConcentratedAgentSelector({"slot_priority": priority}), view, SHARE)


@pytest.mark.parametrize(
    "plugin", [ConcentratedAgentSelector, DispersedAgentSelector, LegacyAgentSelector]
)
def test_replicas_of_an_endpoint_are_spread_where_that_is_asked(
    plugin: type[AbstractAgentSelector],
) -> None:
    """K3: the fewest kernels of the same endpoint come first of all."""
    view = table([agent("a"), agent("b")])
    view.rows[0].endpoints["chat"] = 1
    chat = Need.of([{"cpu": 1000}], Constraints(endpoint="chat"))
    other = Need.of([{"cpu": 1000}], Constraints(endpoint="other"))
    spread = {"enforce_spreading_endpoint_replica": True}

    assert ("a", "b") == (chosen(plugin({}), view, chat), chosen(plugin(spread), view, chat))
    assert ("a", "a") == (chosen(plugin(spread), view, other), chosen(plugin(spread), view))


def test_replicas_that_are_placed_count_for_the_next() -> None:
    """K3: two agents with room for all get two of four replicas each."""
    chat = replace(request(), constraints=Constraints(endpoint="chat"))
    made = snapshot([agent("a"), agent("b")], [waiting(chat) for _ in range(4)])
    spread = ConcentratedAgentSelector({"enforce_spreading_endpoint_replica": True})

    plan = propose(made, policy(spread), limit=10)

    assert [*"abab"] == [placement.bindings[0].agent for placement in plan.placements]


@pytest.mark.parametrize(
    ("name", "opts", "says"),
    [
        ("concentrated", {"colour": 1}, "concentrated has no option 'colour'; there are: enforce"),
        (
            "dispersed",
            {"slot_priority": "cpu"},
            "option 'slot_priority' of dispersed: input should",
        ),
        ("legacy", {"slot_priority": ["CPU!"]}, "'CPU!' is no slot; write cuda, cpu, mem or disk"),
        ("roundrobin", {"from": "a"}, "roundrobin has no option 'from'; there are: none"),
        ("fragmentation", {"cpu_shortage": -1}, "greater than or equal to 0, got -1"),
        ("fragmentation", {"cpu_reserve": "much"}, "option 'cpu_reserve' of fragmentation: input"),
    ],
)
def test_a_wrong_option_is_told_in_one_sentence(
    name: str, opts: Mapping[str, Any], says: str
) -> None:
    """K1."""
    with pytest.raises(InvalidSetting) as caught:
        load_agent_selector(name, ScalingGroupOpts(agent_selector_opts=dict(opts)), {})

    assert str(caught.value).startswith("Bad setting agent_selector_opts: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_round_robin_goes_from_id_to_id() -> None:
    """K3."""
    view, selector = table([agent(name) for name in "bdac"]), RoundRobinAgentSelector({})

    assert [*"abcdab"] == [place(selector, view) for _ in range(6)]


def test_round_robin_passes_over_who_has_no_room_and_takes_in_who_joins() -> None:
    view, selector = table([agent(name) for name in "abd"]), RoundRobinAgentSelector({})
    assert "a" == place(selector, view)
    view.take("b", {"cpu": 4000})
    view.put(agent("c"), 0)

    assert [*"cdac"] == [place(selector, view) for _ in range(4)]


def test_round_robin_has_one_place_per_architecture() -> None:
    view = table([replace(agent(name), architecture="aarch64") for name in "abc"])
    selector = RoundRobinAgentSelector({})
    arm = Need.of([{"cpu": 10}], Constraints(architecture="aarch64"))

    assert [*"aabb"] == [place(selector, view, need) for need in (CPU, arm, CPU, arm)]


def test_round_robin_finds_the_one_that_has_room_among_many_that_are_full() -> None:
    """More are full than are tried one by one."""
    view, selector = (
        table([agent(f"a{n:03}", 500) for n in range(200)]),
        RoundRobinAgentSelector({}),
    )
    for name in ("a090", "a190"):
        view.put(agent(name), 0)

    assert ["a090", "a190", "a090"] == [place(selector, view) for _ in range(3)]


@given(
    counts=st.lists(st.integers(1, 20), max_size=8),
    agents=st.integers(1, 50),
    takeovers=st.booleans(),
)
def test_round_robin_stays_even_over_take_overs(
    counts: list[int], agents: int, *, takeovers: bool
) -> None:
    """K3, K10: agents with room for all never differ by more than one, whoever leads."""
    placed = dict.fromkeys((f"a{n:02}" for n in range(agents)), 0)
    selector = RoundRobinAgentSelector({})
    view = table([agent(name, 1_000_000) for name in placed])
    for count in counts:
        for _ in range(count):
            placed[place(selector, view) or ""] += 1
        if takeovers:
            follower = RoundRobinAgentSelector({})
            follower.restore(selector.state() or "")
            selector, view = follower, table(row.data for row in view.rows)

    assert max(placed.values()) - min(placed.values()) <= 1


@pytest.mark.parametrize("plugin", [RoundRobinAgentSelector, FragmentationAgentSelector])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version":0}',
        '{"version":1}',
        '{"version":1,"last":[],"kinds":3}',
        '{"version":1,"seen":1,"kinds":[[1000,"cuda",5000,1,[],1]]}',
    ],
)
def test_what_another_version_kept_is_not_taken_in(
    plugin: type[AbstractAgentSelector], text: str
) -> None:
    selector = plugin({})
    before = selector.state()

    with pytest.raises(ValueError, match=r"."):
        selector.restore(text)

    assert before == selector.state()


def test_a_selector_without_memory_keeps_nothing() -> None:
    selector = ConcentratedAgentSelector({})

    assert None is selector.state()
    with pytest.raises(ValueError, match="concentrated keeps nothing"):
        selector.restore("x")
