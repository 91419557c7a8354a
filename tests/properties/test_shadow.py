"""A shadow leaves no trace: with it and without it, the policy in force decides the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.shadow import Shadow
from scheduler.cycle.snapshot import Snapshot
from scheduler.plugins.interfaces import Candidate
from tests.properties.test_cycle import CASES, Case, build

CYCLES = st.integers(1, 4)


class Newest(FifoScheduler):
    """The newest first, also within a line."""

    name: ClassVar[str] = "newest"

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (-candidate.seq,)

    def band(self, candidate: Candidate) -> int:  # noqa: ARG002 - all are of one
        return 0

    def turn(self, candidate: Candidate) -> int:
        return -candidate.seq


def other(real: Policy, *, dispersed: bool) -> Policy:
    selector = DispersedAgentSelector({}) if dispersed else ConcentratedAgentSelector({})
    return replace(real, scheduler=Newest({}), selector=selector, grows=True)


def decided(plan: Plan) -> tuple[Any, ...]:
    return (
        [(p.session.id, p.bindings) for p in plan.placements],
        {request: verdict.reason for request, verdict in plan.refusals.items()},
        [(session.id, why) for session, why in plan.impossible],
        plan.more,
    )


def state(made: Snapshot) -> Mapping[str, Any]:
    return {
        "free": [(row.free, row.by_family, row.kernels, row.endpoints) for row in made.agents.rows],
        "waiting": made.waiting.ids(),
        "awake": made.waiting.awake(),
        "lines": {line.request.id: (line.verdict, line.tries) for line in made.waiting.lines()},
        "scopes": {scope: use for scope, use in made.scopes.items() if use.sessions},
        "held": {owner: +Counter(held) for owner, held in made.held.items() if +Counter(held)},
    }


@given(case=CASES, cycles=CYCLES, dispersed=st.booleans())
def test_the_policy_in_force_decides_as_if_there_were_no_shadow(
    case: Case, cycles: int, *, dispersed: bool
) -> None:
    """K17."""
    (alone, rules, limit), (watched, same_rules, _) = build(case), build(case)
    shadow = Shadow(other(same_rules, dispersed=dispersed), watched.waiting)

    for turn in range(cycles):
        before = state(watched)
        proposed = shadow.propose(watched, limit=limit)
        assert before == state(watched)

        assert decided(propose(alone, rules, limit=limit)) == decided(
            propose(watched, same_rules, limit=limit)
        )
        assert state(alone) == state(watched)
        assert len({p.session.id for p in proposed.placements}) == len(proposed.placements)
        if turn % 2:
            for made in (alone, watched):
                made.waiting.wake_all()


@given(CASES, CYCLES)
def test_a_shadow_like_the_policy_in_force_proposes_the_same(case: Case, cycles: int) -> None:
    """Whatever it differed in would be counted against the other."""
    made, rules, limit = build(case)
    selector = type(rules.selector)({})
    shadow = Shadow(
        replace(rules, scheduler=FifoScheduler({}), selector=selector, grows=True), made.waiting
    )

    for _ in range(cycles):
        proposed = shadow.propose(made, limit=limit)
        real = propose(made, rules, limit=limit)
        assert decided(proposed)[:2] == decided(real)[:2]
        made.waiting.wake_all()
