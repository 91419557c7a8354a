"""What a reservation promises is kept, whatever comes behind it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.group import Backfill
from scheduler.domain.request import Request, request_of
from scheduler.domain.spec import SessionSpec
from tests.properties.backfilled import OVERHEAD_MS, Arrival, Group
from tests.unit.cycle.made import agent

S = 1_000
KERNEL = st.one_of(
    st.builds(lambda cpu: {"cpu": cpu}, st.integers(1, 6)),
    st.builds(lambda share: {"cuda.shares": share}, st.integers(1, 1_000)),
    st.builds(lambda count: {"cpu": 1, "cuda.device": count}, st.integers(1, 2)),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One kernel, several on one node, or a gang; from seconds to minutes."""
    return request_of(
        SessionSpec(
            callable="a:b",
            cluster_mode=draw(st.sampled_from(["single-node", "multi-node"])),
            kernels=draw(st.lists(KERNEL, min_size=1, max_size=3)),
            labels=draw(st.dictionaries(st.just("zone"), st.just("a"))),
            timeout=draw(st.integers(1, 200)),
        )
    )


@st.composite
def arrivals(draw: st.DrawFn, *, exact: bool = False, ranks: bool = False) -> dict[int, Arrival]:
    """Sessions that end by their deadlines, or exactly at them."""
    found = []
    for _ in range(draw(st.integers(1, 25))):
        request = draw(requests())
        most = request.timeout_ms + OVERHEAD_MS
        found.append(
            Arrival(
                at_ms=draw(st.integers(0, 200)) * S,
                request=request,
                runs_ms=most if exact else draw(st.integers(1, most)),
                priority=draw(st.sampled_from([0, 10, 20])) if ranks else 10,
            )
        )
    return dict(enumerate(sorted(found, key=lambda arrival: arrival.at_ms)))


AGENTS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(0, 3), st.sampled_from(["a", "b"]), st.integers(0, 4)),
    min_size=1,
    max_size=4,
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
        mine = coming[number].priority
        if not any(a.priority > mine and a.at_ms > promised_ms for a in coming.values()):
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
