"""What a reservation promises is kept, whatever comes behind it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.group import Backfill
from scheduler.domain.request import Request, request_of
from scheduler.domain.spec import SessionSpec
from tests.properties.backfilled import OVERHEAD_MS, Arrival, Group
from tests.unit.cycle.made import agent

S = 1_000
#: Few kinds, so that lines form; several kernels of the same size, so that they hinder each other.
KERNELS = (
    [{"cpu": "1"}],
    [{"cpu": "2"}],
    [{"cpu": "4"}],
    [{"cpu": "3"}, {"cpu": "1"}],
    [{"cpu": "2"}, {"cpu": "2"}, {"cpu": "1"}],
    [{"cuda.shares": "400"}],
    [{"cuda.shares": "700"}, {"cuda.shares": "400"}],
    [{"cpu": "1", "cuda.device": "1"}],
    [{"cuda.device": "2"}],
)


def some_request(draw: Random) -> Request:
    """One kernel, several on one node, or a gang; from seconds to minutes."""
    return request_of(
        SessionSpec(
            callable="a:b",
            cluster_mode=draw.choice(["single-node", "multi-node"]),
            kernels=draw.choice(KERNELS),
            labels=draw.choice([{}, {}, {}, {"zone": "a"}]),
            timeout=draw.choice([5, 20, 40, 90, 200]),
        )
    )


@st.composite
def arrivals(draw: st.DrawFn, *, exact: bool = False, ranks: bool = False) -> dict[int, Arrival]:
    """More sessions than there is room for, that end by their deadlines, most of them exactly then."""
    count, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32))
    chance = Random(seed)  # noqa: S311 - not for secrets
    found = []
    for _ in range(count):
        request = some_request(chance)
        most = request.timeout_ms + OVERHEAD_MS
        early = not exact and chance.random() < 0.3
        found.append(
            Arrival(
                at_ms=chance.randrange(100) * S,
                request=request,
                runs_ms=chance.randint(1, most) if early else most,
                priority=chance.choice([0, 10, 20]) if ranks else 10,
            )
        )
    return dict(enumerate(sorted(found, key=lambda arrival: arrival.at_ms)))


AGENTS = st.lists(
    st.tuples(
        st.integers(2, 6), st.integers(0, 2), st.sampled_from(["a", "a", "b"]), st.integers(0, 4)
    ),
    min_size=1,
    max_size=3,
)
LIMITS = st.sampled_from([1, 50])
Agents = list[tuple[int, int, str, int]]


def group(agents: Agents, kind: Backfill, limit: int = 50) -> Group:
    made = [
        replace(
            agent(f"a{i}", cores * 1000, devices=devices, max_kernels=most), labels={"zone": zone}
        )
        for i, (cores, devices, zone, most) in enumerate(agents)
    ]
    return Group(made, kind, limit)


@given(AGENTS, arrivals(), LIMITS)
def test_the_reserved_one_starts_no_later_than_promised(
    agents: Agents, coming: dict[int, Arrival], limit: int
) -> None:
    """X6: backfill never delays it."""
    played = group(agents, Backfill.EASY, limit).play(coming)

    for number, (at_ms, _) in played.promised.items():
        assert played.started[number] <= at_ms


@given(AGENTS, arrivals(), LIMITS)
def test_every_start_that_is_promised_conservatively_holds(
    agents: Agents, coming: dict[int, Arrival], limit: int
) -> None:
    """X6."""
    played = group(agents, Backfill.CONSERVATIVE, limit).play(coming)

    for number, (at_ms, _) in played.promised.items():
        assert played.started[number] <= at_ms


@given(AGENTS, arrivals(ranks=True), st.sampled_from([Backfill.EASY, Backfill.CONSERVATIVE]))
def test_only_who_ranks_higher_delays_what_was_promised(
    agents: Agents, coming: dict[int, Arrival], kind: Backfill
) -> None:
    """X6."""
    played = group(agents, kind).play(coming)

    for number, (at_ms, promised_ms) in played.promised.items():
        above = [i for i, a in coming.items() if a.priority > coming[number].priority]
        if kind is Backfill.CONSERVATIVE:
            # Who stands behind the first of its line was promised nothing yet.
            late = [i for i in above if played.started.get(i, promised_ms + 1) > promised_ms]
        else:
            late = [i for i in above if coming[i].at_ms > promised_ms]
        if not late:
            assert played.started[number] <= at_ms


@given(AGENTS, arrivals(exact=True))
def test_where_all_run_to_their_deadlines_nobody_behind_it_costs_it_anything(
    agents: Agents, coming: dict[int, Arrival]
) -> None:
    """X6: it starts when it would have started alone."""
    played = group(agents, Backfill.EASY).play(coming)

    for number, (_, promised_ms) in list(played.promised.items())[:3]:
        before = {
            i: a for i, a in coming.items() if played.started.get(i, promised_ms + 1) <= promised_ms
        }
        alone = group(agents, Backfill.EASY).play(before | {number: coming[number]})
        assert played.started[number] <= alone.started[number]


@given(AGENTS, arrivals(ranks=True), st.sampled_from([Backfill.EASY, Backfill.CONSERVATIVE]))
def test_the_same_arrivals_start_at_the_same_times_and_leave_nothing_behind(
    agents: Agents, coming: dict[int, Arrival], kind: Backfill
) -> None:
    """X5, X6: decisions equal for equal snapshots; gangs whole; what ended is free again."""
    first, second = (group(agents, kind).play(coming) for _ in range(2))

    assert (first.started, first.promised) == (second.started, second.promised)
    assert 0 == len(first.made.releases)
    for row in first.made.agents.rows:
        assert (row.data.capacity, 0, False) == (row.free, row.kernels, row.hidden)
