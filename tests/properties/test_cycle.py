"""What every plan keeps, whatever the agents, scopes and sessions are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.scheduler import Policy, examine, propose, withdraw
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.validators.concurrency import ConcurrencyValidator
from scheduler.cycle.validators.group_resource_limit import GroupResourceLimitValidator
from scheduler.cycle.validators.keypair_resource_limit import KeypairResourceLimitValidator
from scheduler.cycle.validators.scope_resource_limit import ScopeResourceLimitValidator
from scheduler.cycle.validators.user_resource_limit import UserResourceLimitValidator
from scheduler.domain.agent import AgentStatus
from scheduler.domain.scope import GLOBAL, OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.plugins.interfaces import Need
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

RULES = (
    ConcurrencyValidator(),
    GroupResourceLimitValidator(),
    KeypairResourceLimitValidator(),
    ScopeResourceLimitValidator(),
    UserResourceLimitValidator(),
)
REQUESTS = (
    request("1"),
    request("3"),
    request("1", keypair="k1"),
    request("2", keypair="k2"),
    request("1", cuda__shares=600),
    request("1", cuda__device=1, keypair="k1"),
    request("1", size=2, cuda__shares=400),
    request("1", size=3),
    request("16"),
    request("1", keypair="k1", scopes={"user": "u"}),
    request("2", cuda__shares=300, scopes={"user": "u", "group": "g"}),
)

AGENTS = st.lists(
    st.tuples(
        st.integers(0, 8), st.integers(0, 2), st.sampled_from(list(AgentStatus)), st.integers(0, 3)
    ),
    max_size=6,
)
SESSIONS = st.lists(
    st.tuples(st.integers(0, len(REQUESTS) - 1), st.sampled_from([0, 10, 100])), max_size=25
)
SLOTS = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.integers(0, 8).map(lambda cores: 1000 * cores),
        "cuda": st.integers(0, 20).map(lambda tenths: 100 * tenths),
    },
)
SCOPES = {
    "global": GLOBAL,
    "k1": Scope("keypair", "k1"),
    "k2": Scope("keypair", "k2"),
    "u": Scope("user", "u"),
    "g": Scope("group", "g"),
}
LIMITS = st.fixed_dictionaries(
    {
        name: st.builds(
            ScopeLimits,
            max_sessions=st.none() | st.integers(0, 4),
            max_slots=SLOTS,
            unspecified_slots=st.sampled_from([*OtherSlots]),
            main_keypair=st.sampled_from(["", "k1", "k2"] if name == "u" else [""]),
        )
        for name in SCOPES
    }
)
CASES = st.tuples(AGENTS, SESSIONS, LIMITS, st.booleans(), st.integers(1, 30))

Case = tuple[
    list[tuple[int, int, AgentStatus, int]],
    list[tuple[int, int]],
    dict[str, ScopeLimits],
    bool,
    int,
]


def build(case: Case) -> tuple[Snapshot, Policy, int]:
    agents, sessions, limits, dispersed, limit = case
    made = snapshot(
        [
            agent(f"a{i}", cores * 1000, devices=devices, status=status, max_kernels=kernels)
            for i, (cores, devices, status, kernels) in enumerate(agents)
        ],
        [waiting(REQUESTS[kind], priority=p, seq=i) for i, (kind, p) in enumerate(sessions)],
    )
    for name, allowed in limits.items():
        made.scopes[SCOPES[name]] = ScopeUse(allowed)
    return made, policy(DispersedAgentSelector({}) if dispersed else None, RULES), limit


@given(CASES)
def test_no_agent_is_oversold(case: Case) -> None:
    """K10, X8."""
    made, rules, limit = build(case)

    plan = propose(made, rules, limit=limit)

    used: dict[str, dict[str, int]] = {}
    count: dict[str, int] = {}
    for binding in (b for p in plan.placements for b in p.bindings):
        count[binding.agent] = count.get(binding.agent, 0) + 1
        for slot, amount in binding.slots.items():
            held = used.setdefault(binding.agent, {})
            held[slot] = held.get(slot, 0) + amount
    for name, slots in used.items():
        row = made.agents.get(name)
        assert row is not None
        assert row.data.status is AgentStatus.READY
        assert all(amount <= row.data.capacity[slot] for slot, amount in slots.items())
        assert not row.data.max_kernels or count[name] <= row.data.max_kernels


@given(CASES)
def test_no_scope_is_over_its_limit(case: Case) -> None:
    """D3, X8."""
    made, rules, limit = build(case)

    plan = propose(made, rules, limit=limit)

    for scope, use in made.scopes.items():
        held = sum(tuple(scope) in p.session.request.scopes for p in plan.placements)
        assert use.sessions == held
        assert use.limits.max_sessions is None or held <= use.limits.max_sessions
        slots: Counter[str] = Counter()
        for p in plan.placements:
            slots.update(p.session.request.families if scope in p.session.request.scopes else {})
        main = made.scopes.get(Scope("keypair", use.limits.main_keypair))
        policy = main.limits if use.limits.main_keypair and main else use.limits
        assert use.slots == slots
        assert all(
            amount <= (policy.of_slot(f) or 0)
            for f, amount in slots.items()
            if policy.of_slot(f) is not None
        )
        assert not slots or not use.limits.main_keypair or policy != ScopeLimits()


@given(CASES)
def test_equal_snapshots_give_equal_plans(case: Case) -> None:
    """X5: a decision can be replayed."""
    first, second = (
        propose(made, rules, limit=limit) for made, rules, limit in (build(case), build(case))
    )

    assert first == second


@given(CASES)
def test_of_equal_requests_the_higher_priority_is_placed_first(case: Case) -> None:
    """K2."""
    made, rules, limit = build(case)

    plan = propose(made, rules, limit=limit)

    for kind in REQUESTS:
        placed = [
            (-p.session.priority, p.session.seq)
            for p in plan.placements
            if p.session.request == kind
        ]
        left = [(-session.priority, session.seq) for session in made.waiting.of(kind.id)]
        assert sorted(placed) == placed
        assert not placed or not left or max(placed) < min(left)


@given(CASES)
def test_who_is_left_could_not_have_been_placed(case: Case) -> None:
    """No session starves another: after an unlimited plan, no head of a line fits any more."""
    made, rules, _ = build(case)

    propose(made, rules, limit=1_000)

    made.waiting.wake_all()
    for head in made.waiting.heads():
        admitted = examine(head, made, rules.validators).admits
        assert not (admitted and made.agents.fits(Need.of(head.request.kernels)))


@given(CASES)
def test_withdrawing_a_whole_plan_leaves_what_was_before(case: Case) -> None:
    """K8, K10."""
    made, rules, limit = build(case)
    before = ([(dict(r.free), r.kernels) for r in made.agents.rows], dict(made.scopes))

    for placement in propose(made, rules, limit=limit).placements:
        withdraw(made, placement)

    after = ([(dict(r.free), r.kernels) for r in made.agents.rows], dict(made.scopes))
    assert before == after


@given(CASES)
def test_every_session_is_placed_or_waits_and_none_is_placed_twice(case: Case) -> None:
    made, rules, limit = build(case)
    everybody = made.waiting.ids()

    plan = propose(made, rules, limit=limit)

    placed = [p.session.id for p in plan.placements]
    assert len(placed) == len(set(placed))
    assert everybody == set(placed) | made.waiting.ids()
    assert not set(placed) & made.waiting.ids()
    assert {session.id for session, _ in plan.impossible} <= made.waiting.ids()
