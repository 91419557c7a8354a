"""Fragmentation: tables say what looking at every kind says, and what is kept is what is true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.scheduler import propose
from scheduler.cycle.selectors.arrivals import Arrivals, Kind, kinds_of
from scheduler.cycle.selectors.fragmentation import FragmentationAgentSelector
from scheduler.cycle.selectors.usable import cpu_per_device
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.constraints import Constraints
from scheduler.domain.slots import DEVICE
from scheduler.plugins.interfaces import Need
from tests.unit.cycle.made import agent, policy, request, snapshot, table, waiting

FGD = {"cpu_shortage": 0, "model_pressure": 0}
ONLY_A = Constraints(labels=(("cuda.model", ("A",)),))
NEEDS = (
    Need.of([{"cpu": 1000}]),
    Need.of([{"cpu": 500, "cuda.shares": 300}]),
    Need.of([{"cpu": 1000, "cuda.shares": 600}]),
    Need.of([{"cpu": 2000, "cuda.device": 1}]),
    Need.of([{"cpu": 100, "cuda.device": 2, "mem": 64}]),
    Need.of([{"mem": 64, "cuda.shares": 1000}]),
    Need.of([{"cpu": 500, "cuda.shares": 300}] * 2),
    Need.of([{"cpu": 500, "cuda.shares": 300, "rocm.shares": 100}]),
    Need.of([{"cpu": 500, "cuda.shares": 300}], ONLY_A),
    Need.of([{"cpu": 500, "cuda.device": 2}], ONLY_A),
    Need.of([{"cpu": 500, "cuda.shares": 500}], Constraints(agents=("a1", "a3"))),
)


def machine(
    name: str, cpu: int = 8000, devices: int = 4, model: str = "", **more: int
) -> AgentData:
    """An idle agent whose devices have a model."""
    capacity = {"cpu": cpu, "mem": 8192, **{f"cuda.{i}": DEVICE for i in range(devices)}}
    capacity |= {f"rocm.{i}": DEVICE for i in range(more.get("rocm", 0))}
    return AgentData(
        id=name,
        group="default",
        boot="b" * 32,
        status=AgentStatus.READY,
        drained=False,
        capacity=capacity,
        free=capacity,
        models={"cuda": model} if model else {},
        max_kernels=more.get("max_kernels", 0),
    )


def arrived(need: Need, seq: int | None = None) -> WaitingSession:
    """A session that asks for this."""
    asked = replace(request(), kernels=need.kernels, constraints=need.constraints)
    return waiting(asked, seq=seq)


def taught(
    counts: Mapping[int, int], opts: Mapping[str, float] = FGD, needs: Sequence[Need] = NEEDS
) -> FragmentationAgentSelector:
    """A selector that saw so many of some needs."""
    selector = FragmentationAgentSelector(opts)
    selector.restore(_learned(counts, needs).text())
    return selector


def _learned(counts: Mapping[int, int], needs: Sequence[Need]) -> Arrivals:
    arrivals = Arrivals(10**6)
    arrivals.learn([arrived(needs[n]) for n, count in counts.items() for _ in range(count)])
    return arrivals


def unusable(view: AgentTable, index: int, counts: Mapping[Kind, int]) -> float:
    """An agent's fragmentation by its definition: popularity times what a kind cannot use, summed."""
    row = view.rows[index]
    lost = 0.0
    for kind, count in counts.items():
        for slot, free in row.free.items():
            family, dot, _ = slot.partition(".")
            if not dot:
                continue
            model = row.data.models.get(family, "")
            idle = sum(
                milli >= DEVICE for s, milli in row.free.items() if s.startswith(f"{family}.")
            )
            can = kind.accepts(family, model) and row.free["cpu"] >= kind.cpu
            can &= free >= kind.share and (kind.count == 1 or idle >= kind.count)
            lost += 0 if can else count * free
    return lost / sum(counts.values())


def shortage(view: AgentTable, index: int, per_device: float) -> float:
    """Free devices for which the free cpu would not do."""
    free = view.rows[index].free
    devices = sum(milli for slot, milli in free.items() if "." in slot)
    return max(0.0, devices - free["cpu"] / per_device) if per_device else 0.0


def ways(view: AgentTable, index: int, need: Need) -> list[list[dict[str, int]]]:
    """Every choice of devices that is to be compared on one agent."""
    kernel = need.kernels[0]
    if len(need.kernels) > 1 or "cuda.shares" not in kernel or "rocm.shares" in kernel:
        bound = view.bind(index, need)
        return [bound] if bound else []
    plain = {name: amount for name, amount in kernel.items() if "." not in name}
    share = kernel["cuda.shares"]
    return [
        [{**plain, slot: share}]
        for slot, free in sorted(view.rows[index].free.items())
        if slot.startswith("cuda.") and free >= share
    ]


def best_by_hand(
    view: AgentTable, need: Need, counts: Mapping[Kind, int], weights: tuple[float, float]
) -> tuple[str, list[dict[str, int]]] | None:
    """The answer by brute force: take it, look at everything, give it back."""
    weight, reserve = weights
    per_device = cpu_per_device(counts) * reserve
    found: list[tuple[int, str, int, list[dict[str, int]]]] = []
    for index in [i for i in range(len(view)) if view.has_room(i, need)]:
        name = view.agent_id(index)
        for number, bound in enumerate(ways(view, index, need)):
            before = unusable(view, index, counts), shortage(view, index, per_device)
            for slots in bound:
                view.take(name, slots)
            after = unusable(view, index, counts), shortage(view, index, per_device)
            milli = sum(a for slots in bound for s, a in slots.items() if "." in s)
            for slots in bound:
                view.give(name, slots)
            # What is free less is no growth of what cannot be used; it is the same for all.
            cost = after[0] - before[0] + milli + weight * (after[1] - before[1])
            found.append((round(cost * 1024), name, number, bound))
    if not found:
        return None
    _, name, _, bound = min(found, key=lambda one: one[:3])
    return name, bound


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "end", "join", "drain", "drop"]),
        st.integers(0, 99),
    ),
    max_size=30,
)
COUNTS = st.dictionaries(st.integers(1, len(NEEDS) - 1), st.integers(1, 9), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, learned=COUNTS, terms=st.sampled_from([(0.0, 0.8), (2.0, 0.8), (0.5, 1.5)]))
def test_the_choice_is_the_one_that_looking_at_everything_gives(
    steps: list[tuple[str, int]], learned: dict[int, int], terms: tuple[float, float]
) -> None:
    """X13: agent and device, after any sequence of placements, ends, joins, drains and losses."""
    counts = _learned(learned, NEEDS).counts
    opts = {"cpu_shortage": terms[0], "cpu_reserve": terms[1], "model_pressure": 0}
    selector = taught(learned, opts)
    view = table([machine(f"a{n}", 4000 + 2000 * n, n, "AB"[n % 2], rocm=n % 2) for n in range(4)])
    held: list[tuple[str, dict[str, int]]] = []
    for number, (verb, value) in enumerate(steps):
        need, name = NEEDS[(number + value) % len(NEEDS)], f"a{value % 6}"
        match verb:
            case "end" if held:
                view.give(*held.pop(value % len(held)))
            case "join":
                view.put(machine(name, 1000 * (value % 9 + 1), value % 3, "A", max_kernels=2), 0)
            case "drain":
                view.avoid(name, avoided=value % 2 == 0)
            case "drop":
                view.drop(name)
            case _:
                pass
        expected = best_by_hand(view, need, counts, terms)

        index = selector.assign_agent_for_session(view, need)

        if index is None or expected is None:
            assert (None, None) == (index, expected)
            continue
        bound = selector.choose_devices(view, index, need)
        assert expected == (view.agent_id(index), bound)
        if verb == "place":
            for slots in bound or ():
                held.append((view.agent_id(index), dict(slots)))
                view.take(*held[-1])


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(1, len(NEEDS) - 1), min_size=1, max_size=40), learned=COUNTS)
def test_what_is_kept_equals_what_is_worked_out_from_scratch(
    steps: list[int], learned: dict[int, int]
) -> None:
    """X13: only agents that changed are looked at again, and nobody sees a difference."""
    view = table([machine(f"a{n}", 9000, 1 + n % 4, "AB"[n % 2], rocm=1) for n in range(9)])
    kept = taught(learned, {})
    for step in steps:
        for need in (NEEDS[step], NEEDS[0]):
            fresh = taught(learned, {})
            index, again = (one.assign_agent_for_session(view, need) for one in (kept, fresh))

            assert index == again
            if index is not None:
                costs = kept._standing(view, need).costs, fresh._standing(view, need).costs
                assert costs[0].tolist() == costs[1].tolist()
                for slots in kept.choose_devices(view, index, need) or ():
                    view.take(view.agent_id(index), slots)


@given(st.lists(st.integers(0, 4), max_size=25))
def test_equal_snapshots_give_equal_plans(kinds: list[int]) -> None:
    """X5, X13."""
    asked = [
        request("1"),
        request("2", cuda__shares=300),
        request("1", cuda__shares=700),
        request("1", cuda__device=1),
        request("1", size=2, cuda__shares=400),
    ]
    plans = []
    for _ in range(2):
        made = snapshot(
            [agent(f"a{n}", 9000, devices=n) for n in range(4)],
            [waiting(asked[kind], seq=n) for n, kind in enumerate(kinds)],
        )
        plans.append(propose(made, policy(FragmentationAgentSelector({})), limit=100))

    assert plans[0] == plans[1]


def test_a_share_goes_where_the_rest_stays_usable() -> None:
    """X13: 310 is just what the usual session takes; the allocator would fill that device first."""
    halves = {"cpu": 8000, "mem": 8192, "cuda.0": 310, "cuda.1": 650}
    view = table([replace(machine("a", devices=2), free=halves)])
    small = Need.of([{"cpu": 100, "cuda.shares": 300}])
    selector = taught({0: 1}, FGD, [Need.of([{"cpu": 100, "cuda.shares": 310}])])

    index = selector.assign_agent_for_session(view, small)

    assert 0 == index
    assert [{"cpu": 100, "cuda.1": 300}] == selector.choose_devices(view, 0, small)
    assert [{"cpu": 100, "cuda.0": 300}] == view.bind(0, small)


def test_what_is_placed_holds_the_device_that_the_selector_chose() -> None:
    """X13: not the one that the allocator would take."""
    halves = {"cpu": 8000, "mem": 8192, "cuda.0": 310, "cuda.1": 650}
    small = arrived(Need.of([{"cpu": 100, "cuda.shares": 300}]))
    made = snapshot([replace(machine("a", devices=2), free=halves)], [small])
    selector = taught({0: 99}, FGD, [Need.of([{"cpu": 100, "cuda.shares": 310}])])

    plan = propose(made, policy(selector), limit=10)

    assert {"cpu": 100, "cuda.1": 300} == plan.placements[0].bindings[0].slots
    assert (310, 350) == (made.agents.rows[0].free["cuda.0"], made.agents.rows[0].free["cuda.1"])


def test_who_can_go_anywhere_keeps_off_the_models_that_others_must_have() -> None:
    """X13: model pressure."""
    view = table([machine("a", model="A"), machine("b", model="B")])
    anyone = Need.of([{"cpu": 1000, "cuda.device": 1}])
    bound = Need.of([{"cpu": 1000, "cuda.device": 1}], ONLY_A)
    pressed = taught({0: 5, 1: 5}, {"cpu_shortage": 0, "model_pressure": 9}, [anyone, bound])

    index = pressed.assign_agent_for_session(view, anyone)

    assert 1 == index


def test_popularity_is_taken_into_use_at_growing_steps_and_old_arrivals_fade() -> None:
    arrivals = Arrivals(1_000)
    used = [n for n in range(1, 1_301) if arrivals.learn([arrived(NEEDS[1], n)])]

    assert [1, 10, 30, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000] == used[:13]
    assert arrivals.total < 1_000
    assert {kinds_of(arrived(NEEDS[1]).request)[0]: arrivals.total} == arrivals.counts


def test_a_selector_that_is_restored_counts_nobody_twice() -> None:
    """X13: sessions that waited when a term ended arrive again in the next."""
    before, after = FragmentationAgentSelector({}), FragmentationAgentSelector({})
    came = [arrived(NEEDS[2], number) for number in range(1, 6)]
    before.learn(came)

    after.restore(before.state() or "")
    after.learn([*came[2:], arrived(NEEDS[2], 6)])

    assert 6 == json.loads(after.state() or "")["kinds"][0][-1]


def test_kinds_beyond_what_is_told_apart_are_forgotten_rarest_first() -> None:
    arrivals = Arrivals(10**6)
    common = Need.of([{"cpu": 1, "cuda.shares": 1}])
    arrivals.learn([arrived(common)] * 3)
    many = [Need.of([{"cpu": n, "cuda.shares": 500}]) for n in range(1, 700)]
    arrivals.learn([arrived(need) for need in many])

    assert 256 == len(arrivals.counts)
    assert 3 == arrivals.counts[kinds_of(arrived(common).request)[0]]


def test_more_amounts_of_cpu_than_the_tables_tell_apart_are_rounded_up() -> None:
    """An agent is never thought to hold a kind that it does not."""
    needs = [Need.of([{"cpu": 10 * n, "cuda.shares": 500}]) for n in range(1, 301)]
    selector = taught(dict.fromkeys(range(300), 1), {}, needs)
    view = table([machine("a", cpu=3000)])

    assert 0 == selector.assign_agent_for_session(view, needs[-1])
    assert len(selector._growth._table._steps) <= 64


@pytest.mark.parametrize(
    "kernel", [{"cpu": 99_000}, {"gpu.device": 1}, {"disk": 1}, {"cuda.device": 9}]
)
def test_nobody_is_chosen_where_nobody_has_room(kernel: dict[str, int]) -> None:
    selector = FragmentationAgentSelector({})

    assert None is selector.assign_agent_for_session(table([machine("a")]), Need.of([kernel]))
    assert None is selector.assign_agent_for_session(AgentTable(), Need.of([kernel]))
