"""The table of agents: what fits, what is taken and given back, and who changed since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle import agents as agents_module
from scheduler.cycle.agents import AgentTable
from scheduler.domain.agent import AgentStatus
from scheduler.plugins.interfaces import Need
from tests.unit.cycle.made import agent, table

CPU = Need.of([{"cpu": 1000}])
NEEDS = (
    CPU,
    Need.of([{"cpu": 1500, "mem": 512}]),
    Need.of([{"cuda.shares": 460}]),
    Need.of([{"cuda.device": 1}]),
    Need.of([{"cpu": 500, "cuda.shares": 600}] * 2),
    Need.of([{"rocm.device": 1}]),
)


def test_an_agent_that_takes_no_work_fits_nothing() -> None:
    made = table(
        [
            agent("ready"),
            agent("drained", drained=True),
            agent("silent", status=AgentStatus.NOT_READY),
            agent("lost", status=AgentStatus.LOST),
            agent("left", status=AgentStatus.LEFT),
        ]
    )

    assert ["ready"] == [made.agent_id(index) for index in made.fits(CPU)]


def test_a_slot_that_no_agent_has_fits_nowhere() -> None:
    made = table([agent("a")])

    assert [] == list(made.fits(Need.of([{"rocm.device": 1}])))


def test_an_empty_table_fits_nothing() -> None:
    assert [] == list(AgentTable().fits(CPU))


def test_taking_and_giving_back_leaves_what_was() -> None:
    made = table([agent("a")])

    made.take("a", {"cpu": 1000, "mem": 512})
    made.give("a", {"cpu": 1000, "mem": 512})

    row = made.get("a")
    assert row is not None
    assert ({"cpu": 4000, "mem": 8192}, 0) == (row.free, row.kernels)


def test_the_limit_of_kernels_holds_for_all_kernels_of_a_session_together() -> None:
    """K4; checked before adding, five kernels pass a limit of 2."""
    made = table([agent("a", max_kernels=2)])

    assert [[0], []] == [list(made.fits(Need.of([{"cpu": 100}] * size))) for size in (2, 3)]


def test_an_agent_at_its_limit_of_kernels_fits_nothing_until_one_ends() -> None:
    made = table([agent("a", max_kernels=1)])

    made.take("a", {"cpu": 1000})
    full = list(made.fits(CPU))
    made.give("a", {"cpu": 1000})

    assert ([], [0]) == (full, list(made.fits(CPU)))


def test_an_avoided_agent_fits_nothing_until_it_is_trusted_again() -> None:
    made = table([agent("a")])

    made.avoid("a", avoided=True)
    made.put(agent("a"), 0)
    avoided = list(made.fits(CPU))
    made.avoid("a", avoided=False)

    assert ([], [0]) == (avoided, list(made.fits(CPU)))


def test_a_dropped_agent_is_gone_and_may_come_back() -> None:
    made = table([agent("a"), agent("b")])

    made.drop("a")
    gone = (made.get("a"), [made.agent_id(i) for i in made.fits(CPU)])
    made.put(agent("a"), 0)

    assert ((None, ["b"]), {"a", "b"}) == (gone, {made.agent_id(i) for i in made.fits(CPU)})


def test_changing_an_agent_that_is_not_known_changes_nothing() -> None:
    made = table([agent("a")])
    version = made.version

    made.take("nobody", {"cpu": 1})
    made.drop("nobody")
    made.avoid("nobody", avoided=True)

    assert version == made.version


def test_kernels_share_devices_only_where_each_finds_room() -> None:
    """X13: two shares of 600 need two devices."""
    made = table([agent("one", devices=1), agent("two", devices=2)])

    assert ["two"] == [made.agent_id(i) for i in made.fits(Need.of([{"cuda.shares": 600}] * 2))]


def test_what_changed_is_told_since_a_version() -> None:
    made = table([agent("a"), agent("b")])
    version = made.version

    made.take("b", {"cpu": 1})

    assert [1] == list(made.changed_since(version) or ())


def test_changes_too_long_ago_are_not_known_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents_module, "_REMEMBERED", 8)
    made = table([agent("a")])
    old = made.version
    for _ in range(20):
        made.take("a", {"cpu": 1})
    recent = made.version
    made.give("a", {"cpu": 1})

    assert (None, [0], 22) == (
        made.changed_since(old),
        list(made.changed_since(recent) or ()),
        made.version,
    )


def test_a_table_grows_past_its_first_rows_and_columns() -> None:
    made = table([agent(f"a{i:03}", devices=i % 3) for i in range(200)])

    assert 200 == len(list(made.fits(CPU)))


def test_the_largest_idle_agents_count_drained_and_silent_ones() -> None:
    made = table([agent("a", 1000), agent("b", 9000, drained=True, free={"cpu": 0, "mem": 0})])

    assert [{"cpu": 9000, "mem": 8192}] == made.shapes()


def test_the_largest_idle_agents_are_told_anew_when_one_leaves() -> None:
    made = table([agent("a", 1000), agent("b", 9000)])
    made.shapes()

    made.drop("b")

    assert [{"cpu": 1000, "mem": 8192}] == made.shapes()


@given(
    kinds=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.booleans()), min_size=1, max_size=12
    ),
    takes=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5)), max_size=30),
)
def test_what_fits_is_what_looking_at_every_agent_finds(
    kinds: list[tuple[int, int, bool]], takes: list[tuple[int, int]]
) -> None:
    """The matrix and the rows must never disagree."""
    made = table(
        [
            agent(f"a{i}", cores * 1000, devices=devices, drained=drained, max_kernels=3)
            for i, (cores, devices, drained) in enumerate(kinds)
        ]
    )
    for index, need in ((i % len(kinds), NEEDS[n]) for i, n in takes):
        bound = made.bind(index, need) if made.has_room(index, need) else None
        for slots in bound or ():
            made.take(made.agent_id(index), slots)

    for need in NEEDS:
        assert [i for i in range(len(made)) if made.has_room(i, need)] == sorted(made.fits(need))
