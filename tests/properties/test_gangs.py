"""What every plan keeps when kernels are spread and agents are told apart."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.filters import missing
from scheduler.cycle.scheduler import Policy, propose, withdraw
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.snapshot import Snapshot
from scheduler.domain.fitting import model_of
from scheduler.domain.request import Request, request_of
from scheduler.domain.spec import SessionSpec
from tests.unit.cycle.made import agent, policy, snapshot, waiting

ZONES = ("a", "b", "c")
MODELS = ("T4", "V100")

KERNEL = st.one_of(
    st.builds(lambda cpu: {"cpu": cpu}, st.integers(1, 4)),
    st.builds(
        lambda cpu, share: {"cpu": cpu, "cuda.shares": share},
        st.integers(1, 2),
        st.integers(1, 1_000),
    ),
    st.builds(lambda count: {"cuda.device": count}, st.integers(1, 2)),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A gang, or several kernels on one node, with or without constraints."""
    labels = draw(st.dictionaries(st.just("zone"), st.sampled_from(["a", "b", "a|c"])))
    labels |= draw(st.dictionaries(st.just("cuda.model"), st.sampled_from(MODELS)))
    names = draw(st.lists(st.sampled_from(["a0", "a1", "a2"]), max_size=2))
    return request_of(
        SessionSpec(
            callable="a:b",
            cluster_mode=draw(st.sampled_from(["multi-node", "multi-node", "single-node"])),
            kernels=draw(st.lists(KERNEL, min_size=1, max_size=5)),
            labels=labels,
            preferred_labels=draw(st.dictionaries(st.just("zone"), st.sampled_from(ZONES))),
            agents=names,
            agents_strict=draw(st.booleans()),
            endpoint=draw(st.sampled_from(["", "web"])),
        )
    )


AGENTS = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.integers(0, 3),
        st.sampled_from(ZONES),
        st.sampled_from(MODELS),
        st.integers(0, 4),
    ),
    max_size=5,
)
FAILED = st.lists(st.sampled_from(["a0", "a1", "gone"]), max_size=2, unique=True)
CASES = st.tuples(
    AGENTS, st.lists(st.tuples(requests(), FAILED), max_size=8), st.booleans(), st.booleans()
)
Case = tuple[list[tuple[int, int, str, str, int]], list[tuple[Request, list[str]]], bool, bool]


def build(case: Case) -> tuple[Snapshot, Policy]:
    agents, asked, dispersed, grows = case
    made = snapshot(
        [
            replace(
                agent(f"a{i}", cores * 1000, devices=devices, max_kernels=kernels),
                labels={"zone": zone},
                models={"cuda": model, "cuda.0": MODELS[i % 2]} if devices else {},
            )
            for i, (cores, devices, zone, model, kernels) in enumerate(agents)
        ],
        [
            replace(waiting(request, seq=i), failed_on=tuple(failed))
            for i, (request, failed) in enumerate(asked)
        ],
    )
    return made, policy(DispersedAgentSelector({}) if dispersed else None, grows=grows)


def held(made: Snapshot) -> list[tuple[dict[str, int], int, dict[str, int], bool]]:
    return [
        (dict(row.free), row.kernels, dict(row.endpoints), row.hidden) for row in made.agents.rows
    ]


@given(CASES)
def test_every_gang_is_placed_whole_where_it_may_run_or_leaves_no_trace(case: Case) -> None:
    """K10, X8: what is free is the capacity less exactly what placements say."""
    made, rules = build(case)

    plan = propose(made, rules, limit=10_000)

    for placement in plan.placements:
        request = placement.session.request
        assert list(range(len(request.kernels))) == [b.kernel for b in placement.bindings]
        assert (
            request.cluster_mode != "single-node" or len({b.agent for b in placement.bindings}) == 1
        )
        for binding in placement.bindings:
            row = made.agents.get(binding.agent)
            assert row is not None
            assert not missing(request.constraints, row.data)
            for slot in (slot for slot in binding.slots if slot.startswith("cuda.")):
                models = request.constraints.models.get("cuda")
                assert models is None or model_of(row.data.models, slot) in models
    for row in made.agents.rows:
        here = [
            (p.session.request, b)
            for p in plan.placements
            for b in p.bindings
            if b.agent == row.data.id
        ]
        left = dict(row.data.capacity)
        for _, binding in here:
            for slot, amount in binding.slots.items():
                left[slot] -= amount
        assert left == row.free
        assert min(left.values()) >= 0
        assert (len(here), False) == (row.kernels, row.hidden)
        assert not row.data.max_kernels or row.kernels <= row.data.max_kernels
        assert sum(r.constraints.endpoint == "web" for r, _ in here) == row.endpoints.get("web", 0)


@given(CASES)
def test_equal_snapshots_give_equal_plans(case: Case) -> None:
    """X5: ties are broken by id; the same input gives the same answer."""
    first, second = (propose(*build(case), limit=10_000) for _ in range(2))

    assert first == second


@given(CASES)
def test_withdrawing_a_whole_plan_leaves_what_was_before(case: Case) -> None:
    """K10."""
    made, rules = build(case)
    before = held(made)

    for placement in propose(made, rules, limit=10_000).placements:
        withdraw(made, placement)

    assert before == held(made)


@given(CASES)
def test_who_can_never_run_would_not_be_placed_on_idle_agents_either(case: Case) -> None:
    """Nothing is refused wrongly: alone on the idle group, it finds no room."""
    made, rules = build(case)

    doomed = [session for session, _ in propose(made, rules, limit=10_000).impossible]

    for session in doomed:
        alone, _ = build(case)
        for other in alone.waiting.ids() - {session.id}:
            alone.waiting.discard(other)
        assert [] == propose(alone, rules, limit=1).placements
