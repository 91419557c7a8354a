"""An agent has no obstacle exactly if the cycle would place the session there; changes are enough."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.modes.multi_node import MultiNode
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.cycle.placing import place
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.obstacles import Asked, ObstacleKind, miss, nearness, obstacles
from scheduler.domain.request import Request, request_of
from scheduler.domain.slots import DEVICE
from scheduler.domain.spec import SessionSpec
from scheduler.operations.whynot import Glimpse, Holder, answer, asked_of, least_miss, nearest
from tests.unit.cycle.made import waiting

MODES = {mode.name: mode for mode in (SingleNode(), MultiNode())}
MODELS = ("T4", "V100")
KERNEL = st.one_of(
    st.builds(lambda cpu, mem: {"cpu": cpu, "mem": mem}, st.integers(1, 4), st.integers(1, 3_000)),
    st.builds(
        lambda cpu, share: {"cpu": cpu, "cuda.shares": share},
        st.integers(1, 2),
        st.integers(1, 1_000),
    ),
    st.builds(lambda count: {"cuda.device": count, "rocm.shares": 300}, st.integers(1, 2)),
    st.builds(lambda count: {"cuda.device": count}, st.integers(1, 3)),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    labels = draw(st.dictionaries(st.just("zone"), st.sampled_from(["a", "a|b", "c"])))
    labels |= draw(st.dictionaries(st.just("cuda.model"), st.sampled_from([*MODELS, "A|T4"])))
    return request_of(
        SessionSpec(
            callable="a:b",
            cluster_mode=draw(st.sampled_from(sorted(MODES))),
            kernels=draw(st.lists(KERNEL, min_size=1, max_size=5)),
            labels=labels,
            agents=draw(st.lists(st.sampled_from(["a0", "a1"]), max_size=2)),
            agents_strict=draw(st.booleans()),
            architecture=draw(st.sampled_from(["", "", "x86_64", "aarch64"])),
        )
    )


@st.composite
def agents(draw: st.DrawFn) -> AgentData:
    capacity = {"cpu": draw(st.integers(1, 12)) * 1_000, "mem": draw(st.integers(0, 8_000))}
    capacity |= {f"cuda.{i}": DEVICE for i in range(draw(st.integers(0, 4)))}
    capacity |= {f"rocm.{i}": DEVICE for i in range(draw(st.integers(0, 1)))}
    free = {
        slot: draw(st.sampled_from([amount, amount, amount // 2, amount // 3, 0]))
        for slot, amount in capacity.items()
    }
    return AgentData(
        id=draw(st.sampled_from(["a0", "a9"])),
        group="default",
        boot="b" * 32,
        status=draw(st.sampled_from([AgentStatus.READY] * 5 + list(AgentStatus))),
        drained=draw(st.sampled_from([False, False, False, True])),
        capacity=capacity,
        free=free,
        models={"cuda": draw(st.sampled_from(MODELS)), "cuda.1": draw(st.sampled_from(MODELS))},
        labels=draw(st.dictionaries(st.just("zone"), st.sampled_from(["a", "b"]))),
        architecture="x86_64",
        max_kernels=draw(st.sampled_from([0, 0, 1, 2, 4, 8])),
        unreadable=draw(st.sampled_from([(), (), (), ("models",)])),
    )


def asked(request: Request) -> Asked:
    return asked_of(MODES[request.cluster_mode].needs(request), request.cluster_mode)


def placed(request: Request, agent: AgentData, kernels: int) -> bool:
    """Whether the cycle places it where this agent is the only one."""
    table, mode = AgentTable(), MODES[request.cluster_mode]
    table.put(agent, kernels)
    session = waiting(request)
    how = (mode, ConcentratedAgentSelector({}))
    return place(session, mode.needs(request), table, how) is not None


@given(requests(), agents(), st.integers(0, 4))
def test_there_is_no_obstacle_exactly_if_the_cycle_would_place_it(
    request: Request, agent: AgentData, kernels: int
) -> None:
    """X3."""
    found = obstacles(asked(request), agent, kernels)

    assert placed(request, agent, kernels) is (found == ())
    assert pytest.approx(nearness(found)) == miss(asked(request), agent, kernels)


@given(requests(), agents(), st.integers(0, 4))
def test_numbers_of_obstacles_make_sense_and_every_one_has_a_change(
    request: Request, agent: AgentData, kernels: int
) -> None:
    found = answer(asked(request), agent, kernels=kernels)

    assert 0 <= found.fits <= found.kernels
    for obstacle in found.obstacles:
        assert obstacle.says
        assert obstacle.change
        assert 0 < obstacle.shortage <= 1
        if obstacle.kind is ObstacleKind.SLOT:
            assert obstacle.free < obstacle.asked
            assert obstacle.passes is (obstacle.asked <= obstacle.total)
    assert (found.changes == ()) is (found.obstacles == ())


@given(requests(), agents(), st.data())
def test_the_sessions_that_are_named_make_room_and_none_of_them_is_too_many(
    request: Request, idle: AgentData, data: st.DataObject
) -> None:
    """X3: the smallest change is enough, and nothing of it can be left out."""
    whole = replace(
        idle, status=AgentStatus.READY, drained=False, unreadable=(), free=dict(idle.capacity)
    )
    free, holders = dict(whole.free), []
    for number in range(data.draw(st.integers(0, 4))):
        slots = {
            slot: part
            for slot, left in free.items()
            if (part := data.draw(st.sampled_from([0, left // 2, left])))
        }
        holders.append(Holder(f"s{number}", slots, 1))
        free = {slot: left - slots.get(slot, 0) for slot, left in free.items()}
    agent = replace(whole, free=free)
    wanted = asked(request)

    found = answer(wanted, agent, kernels=len(holders), holders=holders)

    named = [h for h in holders if any(f"session {h.session} ends" in c for c in found.changes)]
    others = [o for o in found.obstacles if not o.passes]
    if not named or others or wanted.spread:
        return
    assert placed(request, without(agent, named), len(holders) - len(named))
    for spared in named:
        rest = [holder for holder in named if holder is not spared]
        assert not placed(request, without(agent, rest), len(holders) - len(rest))


def without(agent: AgentData, ended: list[Holder]) -> AgentData:
    free = Counter(agent.free)
    for holder in ended:
        free.update(holder.slots)
    return replace(agent, free=dict(free))


def stored(agent: AgentData) -> dict[str, str]:
    """What of its record a glance is taken at."""
    free = {f"free:{slot}": str(amount) for slot, amount in agent.free.items()}
    return {
        "status": str(agent.status),
        "drained": str(int(agent.drained)),
        "architecture": agent.architecture,
        "labels": json.dumps(agent.labels),
        **free,
    }


@given(requests(), agents(), st.integers(0, 4))
def test_a_glance_never_takes_a_miss_for_larger_than_it_is(
    request: Request, agent: AgentData, kernels: int
) -> None:
    wanted = asked(request)

    least, whole = least_miss(wanted, stored(agent)), miss(wanted, agent, kernels)

    assert least[0] <= whole[0]
    assert least[0] < whole[0] or least[1] <= whole[1] + 1e-9


@given(requests(), st.lists(agents(), max_size=6), st.integers(1, 6))
def test_the_nearest_come_first_and_who_could_take_it_before_all(
    request: Request, found: list[AgentData], most: int
) -> None:
    everybody = [replace(agent, id=f"a{i}") for i, agent in enumerate(found)]

    wanted = asked(request)
    glimpses = [
        Glimpse(agent.id, least_miss(wanted, stored(agent)), partial(lambda each: each, agent))
        for agent in everybody
    ]

    answers = nearest(wanted, glimpses, {}, most)

    counts = [len(each.obstacles) for each in answers]
    assert sorted(counts) == counts
    assert min(most, len(everybody)) == len(answers)
    for each in answers:
        agent = next(agent for agent in everybody if agent.id == each.agent)
        assert placed(request, agent, 0) is (each.obstacles == ())
