"""One scheduling cycle as a function of its snapshot."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest

from scheduler.cycle.agent_row import AgentRow
from scheduler.cycle.placing import word_no_room
from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import examine, propose, withdraw
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.validators.concurrency import ConcurrencyValidator
from scheduler.domain.agent import AgentStatus
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits, ScopeUse
from scheduler.domain.verdict import ADMIT, Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    Need,
    SchedulerValidationError,
    ValidatorContext,
)
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting


class Never(AbstractValidator):
    """A rule of a plugin that refuses all."""

    name: ClassVar[str] = "never"

    def validate(self, context: ValidatorContext) -> None:
        raise SchedulerValidationError(f"not {context.session}", Cure("dawn", "the sun rises"))


def names(plan: Plan) -> list[str]:
    return [placement.session.id for placement in plan.placements]


def hosts(plan: Plan) -> Counter[str]:
    return Counter(binding.agent for p in plan.placements for binding in p.bindings)


def reasons(plan: Plan) -> list[str]:
    return [verdict.reason for verdict in plan.refusals.values()]


def room_of(made: Snapshot) -> dict[str, dict[str, int]]:
    return {row.data.id: dict(row.free) for row in made.agents.rows}


def test_sessions_are_placed_in_order_until_the_agents_are_full() -> None:
    made = snapshot([agent("a", 2000)], [waiting(name=n, seq=i) for i, n in enumerate("abc")])

    plan = propose(made, policy(), limit=100)

    assert (["a", "b"], False, {"c"}) == (names(plan), plan.more, made.waiting.ids())


def test_the_limit_of_one_plan_is_kept_and_said() -> None:
    made = snapshot([agent("a", 9000)], [waiting() for _ in range(5)])

    plan = propose(made, policy(), limit=3)

    assert (3, True, 2) == (len(plan.placements), plan.more, len(made.waiting))


def test_a_refused_line_never_stops_the_others() -> None:
    """The whole group stopping at one session that can never fit is a mistake we do not repeat."""
    large = [waiting(request("9"), priority=100) for _ in range(3)]
    made = snapshot(
        [agent("a", 2000), agent("big", 9000, drained=True)], [*large, waiting(name="small")]
    )

    plan = propose(made, policy(), limit=100)

    assert (["small"], 1) == (names(plan), len(plan.refusals))


def test_a_session_that_fits_no_agent_even_when_idle_is_impossible() -> None:
    made = snapshot([agent("a", 2000)], [waiting(request("9"), name="never"), waiting(name="fits")])

    plan = propose(made, policy(), limit=100)

    assert [("never", "it asks for cpu=9, and no agent of the group has that, even when idle")] == [
        (session.id, why) for session, why in plan.impossible
    ]


@pytest.mark.parametrize(
    "agents",
    [[], [agent("silent", 9000, status=AgentStatus.LOST)], [agent("drained", 9000, drained=True)]],
)
def test_nothing_is_impossible_where_an_agent_may_come_back_or_none_came_yet(
    agents: list[AgentRow],
) -> None:
    made = snapshot(agents, [waiting(request("9"))])  # type: ignore[arg-type]

    plan = propose(made, policy(), limit=100)

    assert ([], 1) == (plan.impossible, len(plan.refusals))


def test_nothing_is_impossible_in_a_group_that_grows() -> None:
    made = snapshot([agent("a", 2000)], [waiting(request("9"))])

    assert [] == propose(made, policy(grows=True), limit=100).impossible


def test_a_scope_never_holds_more_than_it_may() -> None:
    """D3, K6."""
    made = snapshot([agent("a", 64_000)], [waiting(request(keypair="k")) for _ in range(9)])
    made.scopes[Scope("keypair", "k")] = ScopeUse(ScopeLimits(3), 1)

    plan = propose(made, policy(), limit=100)

    assert (2, 3) == (len(plan.placements), made.scopes[Scope("keypair", "k")].sessions)
    assert ["You cannot run more than 3 concurrent sessions (keypair k: 3 of 3 in use)"] == reasons(
        plan
    )


def test_a_full_scope_stops_only_its_own_sessions() -> None:
    made = snapshot(
        [agent("a", 64_000)],
        [waiting(request(keypair="k"), priority=100), waiting(request(keypair="free"), name="f")],
    )
    made.scopes[Scope("keypair", "k")] = ScopeUse(ScopeLimits(0), 0)

    assert ["f"] == names(propose(made, policy(), limit=100))


def test_a_session_refused_for_room_wakes_only_when_agents_change() -> None:
    made = snapshot([agent("a", 0), agent("big", 9000, drained=True)], [waiting(name="s")])
    propose(made, policy(), limit=100)
    made.waiting.wake("scope:global:global")
    still = propose(made, policy(), limit=100)

    made.agents.give("a", {"cpu": 1000})
    made.waiting.wake("agents")

    assert ([], ["s"]) == (names(still), names(propose(made, policy(), limit=100)))


def test_a_session_refused_for_its_scope_wakes_when_one_of_it_ends() -> None:
    made = snapshot([agent("a")], [waiting(request(keypair="k"), name="s")])
    made.scopes[Scope("keypair", "k")] = ScopeUse(ScopeLimits(1), 1)
    propose(made, policy(), limit=100)

    made.hold(request(keypair="k"), -1)

    assert ["s"] == names(propose(made, policy(), limit=100))


def test_withdrawing_a_placement_undoes_exactly_its_reservation() -> None:
    """K8, K10."""
    made = snapshot(
        [agent("a", 9000, devices=2)], [waiting(request(size=2, cuda__shares=600, keypair="k"))]
    )
    before = room_of(made)
    plan = propose(made, policy(), limit=100)
    reserved = room_of(made)

    withdraw(made, plan.placements[0])

    row = made.agents.get("a")
    assert row is not None
    assert (True, before, 0, 0) == (
        before != reserved,
        room_of(made),
        row.kernels,
        made.scopes[Scope("keypair", "k")].sessions,
    )


def test_a_withdrawn_placement_wakes_who_waits_for_the_scope() -> None:
    made = snapshot([agent("a")], [waiting(name="first", seq=1), waiting(name="second", seq=2)])
    made.scopes[GLOBAL] = ScopeUse(ScopeLimits(1), 0)
    plan = propose(made, policy(), limit=100)

    withdraw(made, plan.placements[0])

    assert ["second"] == names(propose(made, policy(), limit=100))


def test_all_kernels_of_a_session_go_to_one_agent_or_to_none() -> None:
    """K10: single-node, and nothing is left reserved where it does not fit."""
    three = waiting(request("1", size=3), name="three")
    made = snapshot([agent("a", 2000), agent("b", 2000), agent("c", 3000, drained=True)], [three])
    nowhere = propose(made, policy(), limit=100)
    untouched = room_of(made)
    made.agents.put(agent("c", 3000), 0)
    made.waiting.wake("agents")

    plan = propose(made, policy(), limit=100)

    assert ([], {"c": 3}, 2000) == (names(nowhere), hosts(plan), untouched["a"]["cpu"])


def test_kernels_are_bound_to_devices_of_their_own() -> None:
    """X13."""
    made = snapshot([agent("a", devices=2)], [waiting(request("1", size=2, cuda__shares=600))])

    plan = propose(made, policy(), limit=100)

    assert [{"cpu": 1000, "cuda.0": 600}, {"cpu": 1000, "cuda.1": 600}] == [
        binding.slots for binding in plan.placements[0].bindings
    ]


@pytest.mark.parametrize("room", [{"devices": 1}, {"devices": 4, "max_kernels": 1}])
def test_kernels_that_no_idle_agent_could_hold_together_are_impossible(
    room: dict[str, Any],
) -> None:
    """K20: device by device and within the limit of kernels, which no sum of slots shows."""
    two = waiting(request("1", size=2, cuda__shares=600), name="two")
    made = snapshot([agent("a", **room)], [two])

    plan = propose(made, policy(), limit=100)

    says = (
        "it asks for 2 kernels of cpu=1 cuda.shares=600 on one agent,"
        " and no agent of the group has that, even when idle"
    )
    assert [("two", says)] == [(session.id, why) for session, why in plan.impossible]


def test_kernels_that_an_idle_agent_could_hold_together_wait() -> None:
    busy = agent("a", devices=2)
    made = snapshot([busy], [waiting(request("1", size=2, cuda__shares=600), name="two")])
    made.agents.take("a", {"cuda.0": 500})

    plan = propose(made, policy(), limit=100)

    assert ([], 1) == (plan.impossible, len(plan.refusals))


def test_a_session_that_a_scheduler_names_although_it_does_not_wait_is_passed_over() -> None:
    made = snapshot([agent("a")], [waiting(name="s")])
    fifo = policy()
    fifo.scheduler.update_allocation(waiting(), waiting(name="ghost"))

    assert ["s"] == names(propose(made, fifo, limit=100))


def test_a_rule_that_admits_is_silent() -> None:
    made = snapshot([agent("a")])

    assert ADMIT == examine(waiting(), made, (ConcurrencyValidator(),))


def test_all_rules_that_refuse_are_named_with_their_cures() -> None:
    """K9, X3."""
    made = snapshot([agent("a")])
    made.scopes[GLOBAL] = ScopeUse(ScopeLimits(1), 1)

    verdict = examine(waiting(name="s"), made, (Never(), ConcurrencyValidator()))

    assert ("never, concurrency", True, ["dawn", "scope:global:global", "scope:global:global"]) == (
        verdict.by,
        verdict.reason.startswith("not s; You cannot run"),
        [cure.event for cure in verdict.cures],
    )


def test_a_rule_of_a_plugin_stops_nobody_else() -> None:
    class Odd(Never):
        def validate(self, context: ValidatorContext) -> None:
            if context.session == "odd":
                super().validate(context)

    made = snapshot(
        [agent("a")], [waiting(request("2"), name="odd", priority=100), waiting(name="even")]
    )

    assert ["even"] == names(propose(made, policy(validators=(Odd(),)), limit=100))


def test_why_no_agent_takes_it_is_counted_by_what_each_lacks() -> None:
    """X3."""
    agents = [
        agent("a", 500),
        agent("b", 500),
        agent("c", drained=True),
        agent("d", status=AgentStatus.NOT_READY),
        agent("e", max_kernels=1),
        agent("f"),
    ]
    made = snapshot(agents)
    made.agents.take("e", {"cpu": 1})
    made.agents.avoid("f", avoided=True)

    worded = word_no_room([Need.of([{"cpu": 1000}])], made.agents)

    assert (
        "no agent has cpu=1 free now"
        " (of 6: 2 lack cpu, 1 at the limit of kernels, 1 drained, 1 let an order lie, 1 not-ready)"
    ) == worded


def test_kernels_that_fit_one_by_one_but_not_together_are_told_so() -> None:
    made = snapshot([agent("a", devices=1)])

    worded = word_no_room([Need.of([{"cuda.shares": 600}] * 2)], made.agents)

    assert (
        "no agent has cuda.shares=600 free now (of 1: 1 lack room for all kernels together)"
        == worded
    )


def test_a_group_without_agents_says_so() -> None:
    made = snapshot([agent("a")])
    made.agents.drop("a")

    worded = word_no_room([Need.of([{"cpu": 1}])], made.agents)

    assert "the group has no agent yet: `scheduler agent run` starts one" == worded


def test_limits_of_a_scope_that_was_never_heard_of_are_none() -> None:
    made, asked = snapshot([]), request(scopes={"user": "u"})

    made.hold(asked, +1)
    made.hold(asked, -1)
    made.hold(asked, -1)

    assert ScopeUse() == made.scopes[Scope("user", "u")]
