"""Refused sessions wake when, and only when, something happens that could cure their refusal."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.selectors.roundrobin import RoundRobinAgentSelector
from scheduler.cycle.snapshot import AGENTS, Snapshot, scope_event
from scheduler.domain.group import Backfill
from tests.properties.test_cycle import CASES, REQUESTS, Case, build
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

ALL = 1_000
#: Something that happens: a placed session ends, or only a scope of a kind of session is released.
HAPPENS = st.tuples(st.booleans(), st.integers(0, 1_000))


def settled(case: Case) -> tuple[Snapshot, Policy, Plan]:
    """A picture in which all that could be placed was, and the rest sleeps."""
    made, rules, _ = build(case)
    # Who is reserved room is tried at every chance, whatever woke it.
    rules = replace(rules, backfill=Backfill.NONE)
    return made, rules, propose(made, rules, limit=ALL)


def happen(made: Snapshot, plan: Plan, what: tuple[bool, int]) -> set[str]:
    """Let it happen; the events that it is."""
    ends, pick = what
    if ends and plan.placements:
        placement = plan.placements[pick % len(plan.placements)]
        for binding in placement.bindings:
            made.agents.give(binding.agent, binding.slots)
        made.waiting.wake(AGENTS)
        asked = placement.session.request
        made.hold(asked, -1)
        return {AGENTS, *(scope_event(*scope) for scope in asked.scopes)}
    asked = REQUESTS[pick % len(REQUESTS)]
    made.hold(asked, -1)
    return {scope_event(*scope) for scope in asked.scopes}


def placed(plan: Plan) -> list[str]:
    return [placement.session.id for placement in plan.placements]


@given(case=CASES, what=HAPPENS)
def test_only_lines_wake_that_what_happened_could_cure(case: Case, what: tuple[bool, int]) -> None:
    made, _, plan = settled(case)
    cures = {line.request.id: set(line.cures) for line in made.waiting.lines()}

    events = happen(made, plan, what)

    assert made.waiting.awake() == {line for line, found in cures.items() if found & events}


@given(case=CASES, what=HAPPENS)
def test_whoever_could_be_placed_after_it_was_woken(case: Case, what: tuple[bool, int]) -> None:
    """Waking all others, too, places nobody more."""
    (made, rules, plan), (twin, same_rules, same_plan) = settled(case), settled(case)
    happen(made, plan, what)
    happen(twin, same_plan, what)
    twin.waiting.wake_all()

    assert placed(propose(twin, same_rules, limit=ALL)) == placed(propose(made, rules, limit=ALL))


@given(
    agents=st.integers(1, 9),
    sessions=st.integers(0, 40),
    limit=st.integers(1, 12),
    terms=st.integers(1, 5),
)
def test_round_robin_is_even_over_plans_and_over_leaders(
    agents: int, sessions: int, limit: int, terms: int
) -> None:
    """K3: its place is handed over, so no take-over begins with the first agent again."""
    made = snapshot(
        [agent(f"a{n}", 64_000) for n in range(agents)],
        [waiting(request("1"), seq=n) for n in range(sessions)],
    )
    selector, left = RoundRobinAgentSelector({}), sessions
    while left > 0:
        for _ in range(terms):
            left -= len(propose(made, policy(selector), limit=limit).placements)
        successor = RoundRobinAgentSelector({})
        successor.restore(selector.state() or "")
        selector = successor
    counts = [row.kernels for row in made.agents.rows]

    assert max(counts) - min(counts) <= 1
