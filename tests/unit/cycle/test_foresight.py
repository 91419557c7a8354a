"""The earliest time is the earliest: compared with a look at every end, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.foresight import Asked, Foresight
from scheduler.cycle.modes.multi_node import MultiNode
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.cycle.promise import Share
from scheduler.cycle.releases import Releases
from scheduler.cycle.timeline import Timeline
from scheduler.domain.agent import AgentData
from scheduler.domain.request import Request, request_of
from scheduler.domain.spec import SessionSpec
from tests.unit.cycle.made import agent, waiting

NOW = 1_000
Placed = Sequence[tuple[int, int, dict[str, int]]]  #: agent, end, slots

SLOTS = st.fixed_dictionaries(
    {}, optional={"cpu": st.integers(1, 3), "cuda.0": st.integers(1, 1000), "cuda.1": st.just(1000)}
)
AGENTS = st.lists(
    st.tuples(st.integers(2, 8), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=4
)
PLACED = st.lists(st.tuples(st.integers(0, 3), st.integers(NOW + 1, NOW + 20), SLOTS), max_size=20)
ASKED = st.lists(
    st.one_of(
        st.builds(lambda cpu: {"cpu": cpu}, st.integers(1, 8)),
        st.builds(lambda share: {"cuda.shares": share}, st.integers(1, 1_000)),
        st.builds(lambda count: {"cpu": 1, "cuda.device": count}, st.integers(1, 2)),
    ),
    min_size=1,
    max_size=3,
)


def group(
    agents: Sequence[tuple[int, int, int]], placed: Placed
) -> tuple[list[AgentData], Releases, list[int]]:
    """Agents that run what fits of this."""
    made = [
        agent(f"a{i}", cores * 1_000, devices=devices, max_kernels=most)
        for i, (cores, devices, most) in enumerate(agents)
    ]
    releases, kernels = Releases(), [0] * len(made)
    for number, (where, ends, slots) in enumerate(placed):
        index = where % len(made)
        held = {s: a * (1_000 if s == "cpu" else 1) for s, a in slots.items()}
        data = made[index]
        full = data.max_kernels and kernels[index] == data.max_kernels
        if held and not full and all(data.free.get(s, 0) >= a for s, a in held.items()):
            free = {s: amount - held.get(s, 0) for s, amount in data.free.items()}
            made[index] = replace(data, free=free)
            kernels[index] += 1
            releases.hold(f"s{number}", ends, [Share(data.id, held)])
    return made, releases, kernels


def table(agents: Sequence[AgentData], kernels: Sequence[int]) -> AgentTable:
    made = AgentTable()
    for data, count in zip(agents, kernels, strict=True):
        made.put(data, count)
    return made


def by_hand(
    agents: Sequence[AgentData], releases: Releases, kernels: Sequence[int], request: Request
) -> int | None:
    """The first end after which one agent binds all kernels."""
    need = SingleNode().needs(request)[0]
    ends = sorted({NOW, *(held.ends_ms for _, held in releases.sessions())})
    for at_ms in ends:
        then, left = [], []
        for data, count in zip(agents, kernels, strict=True):
            gone = [slots for end, slots in releases.on(data.id) if end <= at_ms]
            free = dict(data.free)
            for slot, amount in (item for slots in gone for item in slots.items()):
                free[slot] += amount
            then.append(replace(data, free=free))
            left.append(count - len(gone))
        looked = table(then, left)
        if any(looked.has_room(index, need) for index in range(len(then))):
            return at_ms
    return None


@given(AGENTS, PLACED, ASKED)
def test_one_agents_earliest_time_is_exact(
    agents: list[tuple[int, int, int]], placed: Placed, kernels: list[dict[str, int]]
) -> None:
    """X6: slots, devices and the limit of kernels."""
    made, releases, counts = group(agents, placed)
    request = request_of(SessionSpec(callable="a:b", kernels=kernels))
    mode = SingleNode()
    asked = Asked(waiting(request), mode.needs(request), mode)

    found = Foresight().earliest(asked, NOW, (table(made, counts), releases), ())

    assert by_hand(made, releases, counts, request) == (found[0] if found else None)


@given(AGENTS, PLACED, ASKED)
def test_a_gang_gets_all_its_kernels_out_of_what_is_free_then(
    agents: list[tuple[int, int, int]], placed: Placed, kernels: list[dict[str, int]]
) -> None:
    """X6, K10."""
    made, releases, counts = group(agents, placed)
    request = request_of(SessionSpec(callable="a:b", kernels=kernels, cluster_mode="multi-node"))
    mode = MultiNode()
    asked = Asked(waiting(request), mode.needs(request), mode)

    found = Foresight().earliest(asked, NOW, (table(made, counts), releases), ())

    if found is None:
        return
    at_ms, placement = found
    assert list(range(len(kernels))) == [binding.kernel for binding in placement.bindings]
    for data, count in zip(made, counts, strict=True):
        gone = [slots for end, slots in releases.on(data.id) if end <= at_ms]
        mine = [binding.slots for binding in placement.bindings if binding.agent == data.id]
        assert not data.max_kernels or count - len(gone) + len(mine) <= data.max_kernels
        for slot, amount in data.free.items():
            freed = sum(slots.get(slot, 0) for slots in gone)
            assert sum(slots.get(slot, 0) for slots in mine) <= amount + freed


@pytest.mark.parametrize("holes", [32_768, -1_000_000])
def test_what_changed_is_followed_as_if_it_were_read_anew(
    monkeypatch: pytest.MonkeyPatch, holes: int
) -> None:
    """Rows that come, go and change, agents that come later, and numbers that are given anew."""
    monkeypatch.setattr("scheduler.cycle.timeline._HOLES", holes)
    agents, releases, kept = AgentTable(), Releases(), Timeline()
    for number in range(200):
        if number % 20 == 0:
            agents.put(agent(f"a{number // 20}", 64_000, devices=number % 3), 0)
        name = f"a{number % (number // 20 + 1)}"
        releases.hold(f"s{number}", 5_000 - number, [Share(name, {"cpu": number + 1})])
        agents.take(name, {"cpu": number + 1})
        if number % 3 == 0:
            releases.hold(f"s{number // 2}", 6_000 + number, [Share(name, {"cpu": 1, "mem": 3})])
        if number % 5 == 0:
            releases.drop(f"s{number // 3}")
        kept.follow(agents, releases)
    anew = Timeline()
    releases.take_changed()
    everything = Releases()
    for session, held in releases.sessions():
        everything.hold(session, held.ends_ms, held.kernels)
    anew.follow(agents, everything)
    request = request_of(SessionSpec(callable="a:b", slots={"cpu": "2"}))
    need = SingleNode().needs(request)[0]

    one, other = kept.ahead(0), anew.ahead(0)

    assert len(one.rows) == len(other.rows)
    for position in range(0, len(one.rows), 7):
        admitted = agents.admitted(need)
        at = one.behind(position)
        assert one.room(need, admitted, at).tolist() == other.room(need, admitted, at).tolist()


def test_whoever_never_asks_is_not_kept_books_for() -> None:
    """A busy group without blocked sessions: nothing grows, and the next who asks is told everything."""
    releases = Releases()
    releases.take_changed()

    for number in range(30_000):
        releases.hold(f"s{number}", number, [Share("a1", {"cpu": 1})])
        releases.drop(f"s{number}")

    assert 0 == len(releases)
    assert releases.take_changed() is None
    assert set() == releases.take_changed()
