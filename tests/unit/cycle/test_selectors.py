"""The ranking selectors choose exactly the agent that sorting all of them would choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.selectors import ranked, shared
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.selectors.ranked import RankedAgentSelector
from scheduler.domain.agent import AgentStatus
from scheduler.plugins.interfaces import Need
from tests.unit.cycle.made import agent, table

CPU = Need.of([{"cpu": 1000}])
#: More kinds than a selector keeps rankings of.
NEEDS = (
    CPU,
    Need.of([{"cpu": 500, "mem": 1024}]),
    Need.of([{"cuda.shares": 300}]),
    Need.of([{"cpu": 500, "cuda.shares": 600}]),
    Need.of([{"cuda.device": 2, "cpu": 100}]),
    Need.of([{"cpu": 500, "cuda.shares": 600}] * 2),
    *[Need.of([{"cpu": 10 * number}]) for number in range(1, 71)],
)


def chosen(selector: RankedAgentSelector, view: AgentTable, need: Need = CPU) -> str | None:
    index = selector.assign_agent_for_session(view, need)
    return None if index is None else view.agent_id(index)


def sorted_out(selector: RankedAgentSelector, view: AgentTable, need: Need) -> str | None:
    """The answer by brute force: all that have room, by rank, then by id."""
    fitting = [i for i in range(len(view)) if view.has_room(i, need)]
    best = min(((selector.rank(view, i, need), view.agent_id(i)) for i in fitting), default=None)
    return None if best is None else best[1]


def test_concentrated_fills_the_fullest_agent_that_has_room() -> None:
    """K3."""
    view = table(
        [
            agent("empty"),
            agent("half", free={"cpu": 2000, "mem": 8192}),
            agent("full", free={"cpu": 0}),
        ]
    )

    assert "half" == chosen(ConcentratedAgentSelector({}), view)


def test_dispersed_takes_the_emptiest_agent() -> None:
    """K3."""
    view = table([agent("half", free={"cpu": 2000, "mem": 8192}), agent("empty")])

    assert "empty" == chosen(DispersedAgentSelector({}), view)


@pytest.mark.parametrize("selector", [ConcentratedAgentSelector({}), DispersedAgentSelector({})])
def test_an_agent_with_accelerators_is_left_to_who_asks_for_them(
    selector: RankedAgentSelector,
) -> None:
    """K3: the fewest slots that were not asked for come first."""
    view = table([agent("a-with", devices=2), agent("b-without", 64_000)])

    assert "b-without" == chosen(selector, view)


def test_ties_are_broken_by_id() -> None:
    view = table([agent("b"), agent("a"), agent("c")])

    assert "a" == chosen(ConcentratedAgentSelector({}), view)


def test_accelerators_are_ranked_before_cpu_and_cpu_before_memory() -> None:
    view = table(
        [
            agent(
                "less-cpu",
                devices=2,
                free={"cpu": 1000, "mem": 8192, "cuda.0": 1000, "cuda.1": 1000},
            ),
            agent(
                "less-cuda", devices=2, free={"cpu": 4000, "mem": 8192, "cuda.0": 0, "cuda.1": 1000}
            ),
        ]
    )
    need = Need.of([{"mem": 1, "cpu": 1, "cuda.shares": 100}])

    assert "less-cuda" == chosen(ConcentratedAgentSelector({}), view, need)


def test_nobody_is_chosen_where_nobody_has_room() -> None:
    assert None is chosen(ConcentratedAgentSelector({}), table([agent("a", 500)]))


def test_a_ranking_does_not_grow_with_what_was_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry whose rank never comes up again would stay in the heap for the whole term."""
    monkeypatch.setattr(ConcentratedAgentSelector, "by_families", False)
    view, selector = table([agent("a"), agent("b", 64_000)]), ConcentratedAgentSelector({})
    for _ in range(3_000):
        assert "a" == chosen(selector, view)
        view.take("b", {"cpu": 1000})
        view.give("b", {"cpu": 1000})
        view.take("a", {"cpu": 100})
        assert "a" == chosen(selector, view)
        view.give("a", {"cpu": 100})

    assert max(len(ranking.heap) for ranking in selector._rankings.values()) < 100


def test_rankings_that_were_not_used_for_long_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranked, "_KEPT", 64)
    monkeypatch.setattr(ConcentratedAgentSelector, "by_families", False)
    view, selector = table([agent("a")]), ConcentratedAgentSelector({})

    for need in NEEDS:
        chosen(selector, view, need)

    assert 64 == len(selector._rankings)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("give"), st.integers(0, 99), st.booleans()),
        st.tuples(st.just("drain"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("join"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("drop"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("silent"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("avoid"), st.integers(0, 7), st.booleans()),
    ),
    max_size=40,
)


def change(view: AgentTable, verb: str, name: str, *, flag: bool) -> None:
    row = view.get(name)
    match verb:
        case "join":
            view.put(
                agent(
                    name, 4000 * (1 + flag), devices=2 * (int(name[1]) % 2), max_kernels=4 * flag
                ),
                0,
            )
        case "drop":
            view.drop(name)
        case "avoid":
            view.avoid(name, avoided=flag)
        case "drain" if row:
            view.put(
                agent(name, row.data.capacity["cpu"], free=row.free, drained=flag), row.kernels
            )
        case "silent" if row:
            status = AgentStatus.NOT_READY if flag else AgentStatus.READY
            view.put(
                agent(name, row.data.capacity["cpu"], free=row.free, status=status), row.kernels
            )
        case _:
            pass


@pytest.mark.parametrize("plugin", [ConcentratedAgentSelector, DispersedAgentSelector])
@pytest.mark.parametrize("patience", [shared.PATIENCE, 1])
@given(steps=STEPS, kinds=st.lists(st.integers(0, len(NEEDS) - 1), min_size=1, max_size=8))
def test_the_choice_is_the_one_that_sorting_all_agents_gives(
    plugin: type[RankedAgentSelector],
    patience: int,
    steps: list[tuple[str, int, bool]],
    kinds: list[int],
) -> None:
    """K3, K10, X13: after any sequence of placements, ends, drains, joins and losses.

    From the order that kinds of need share, and, where that has too many without room, from their own.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shared, "PATIENCE", patience)
        patched.setattr(ranked, "_ALONE", 2)
        check_choices(plugin, steps, kinds)


def check_choices(
    plugin: type[RankedAgentSelector], steps: list[tuple[str, int, bool]], kinds: list[int]
) -> None:
    view, selector = table([agent(f"a{i}", devices=2 * (i % 2)) for i in range(4)]), plugin({})
    placed: list[tuple[str, dict[str, int]]] = []
    for number, (verb, value, flag) in enumerate(steps):
        need = NEEDS[kinds[number % len(kinds)]]
        if verb == "place" and (index := selector.assign_agent_for_session(view, need)) is not None:
            for slots in view.bind(index, need) or ():
                placed.append((view.agent_id(index), slots))
                view.take(*placed[-1])
        elif verb == "give" and placed:
            view.give(*placed.pop(value % len(placed)))
        else:
            change(view, verb, f"a{value}", flag=flag)

        assert sorted_out(selector, view, need) == chosen(selector, view, need)


@pytest.mark.parametrize("plugin", [ConcentratedAgentSelector, DispersedAgentSelector])
def test_the_choice_stays_right_with_more_kinds_of_need_than_are_kept(
    plugin: type[RankedAgentSelector],
) -> None:
    """X13."""
    view, selector = (
        table([agent(f"a{i}", 1000 * (i + 1), devices=i % 3) for i in range(9)]),
        plugin({}),
    )
    wrong = []
    for turn in range(3):
        for need in NEEDS:
            if sorted_out(selector, view, need) != chosen(selector, view, need):
                wrong.append((turn, need))
            if (index := selector.assign_agent_for_session(view, need)) is not None:
                for slots in view.bind(index, need) or ():
                    view.take(view.agent_id(index), slots)

    assert [] == wrong
