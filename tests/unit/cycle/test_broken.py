"""A policy whose scheduler or selector is broken: told by its name, and what was decided before stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AgentView,
    Candidate,
    Need,
    SchedulingContext,
)
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting


class Odd(FifoScheduler):
    """Raises in one of its methods."""

    name: ClassVar[str] = "odd"

    def __init__(self, raises: str) -> None:
        super().__init__({})
        self.raises = raises

    def _maybe(self, where: str) -> None:
        if where == self.raises:
            raise KeyError(where)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:
        self._maybe("prioritize")
        super().prioritize(context, heads)

    def pick_session(self) -> Candidate | None:
        self._maybe("pick")
        return super().pick_session()

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        self._maybe("update")
        super().update_allocation(placed, successor)


class Unranked(FifoScheduler):
    """Cannot rank sessions of some priorities, or ranks them by what cannot be compared."""

    name: ClassVar[str] = "unranked"

    def __init__(self, **wrong: Any) -> None:
        super().__init__({})
        self.wrong = wrong

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        if self.wrong and candidate.priority == 50:
            rank: tuple[int, ...] = self.wrong["rank"]()
            return rank
        return super().rank(candidate)


def raises() -> tuple[int, ...]:
    raise ZeroDivisionError("no day")


class Stubborn(FifoScheduler):
    """Picks the same session for ever."""

    name: ClassVar[str] = "stubborn"

    def pick_session(self) -> Candidate | None:
        lane = self._lanes.get("")
        return lane[0][3] if lane else None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        pass


class Forgetful(ConcentratedAgentSelector):
    name: ClassVar[str] = "forgetful"

    def learn(self, arrived: Sequence[Candidate]) -> None:
        raise OSError(f"{len(arrived)} are too many")


def by(scheduler: Any) -> Policy:
    return replace(policy(), scheduler=scheduler)


@pytest.mark.parametrize(("raises", "placed"), [("prioritize", 0), ("pick", 0), ("update", 1)])
def test_a_scheduler_that_raises_is_told_to_all_who_wait(raises: str, placed: int) -> None:
    """K19: what was placed before stands, the others sleep until the sweep."""
    made = snapshot([agent("a")], [waiting(), waiting(), waiting(request(mem="7"))])

    plan = propose(made, by(Odd(raises)), limit=10)

    says = f"scheduler 'odd' is broken: KeyError: '{raises}'"
    assert (placed, 2, says, False) == (
        len(plan.placements),
        len(plan.refusals),
        plan.broken,
        plan.more,
    )
    assert {("scheduler", says)} == {(v.by, v.reason) for v in plan.refusals.values()}
    assert [] == made.waiting.heads()
    made.waiting.wake_all()
    assert 3 - placed == len(propose(made, policy(), limit=10).placements)


def test_a_scheduler_that_goes_round_in_circles_is_stopped() -> None:
    made = snapshot([agent("a")], [waiting(), waiting()])

    plan = propose(made, by(Stubborn({})), limit=10)

    assert 1 == len(plan.placements)
    assert "'stubborn' is broken: it goes on picking sessions that were decided" in plan.broken


def test_a_selector_that_cannot_learn_is_told_by_its_name() -> None:
    made = snapshot([agent("a")], [waiting()])

    plan = propose(made, policy(Forgetful({})), limit=10)

    assert "selector 'forgetful' is broken: OSError: 1 are too many" == plan.broken


class Raises(ConcentratedAgentSelector):
    name: ClassVar[str] = "raises"

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:  # noqa: ARG002 - it raises
        raise RuntimeError("kaputt")


class Wild(ConcentratedAgentSelector):
    name: ClassVar[str] = "wild"

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:  # noqa: ARG002 - it guesses
        return 999


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        (Raises({}), "agent selector 'raises' is broken: RuntimeError: kaputt"),
        (
            Wild({}),
            "agent selector 'wild' is broken: WrongChoice: it chose agent 999, and there are 1",
        ),
    ],
)
def test_a_selector_that_cannot_choose_is_told_by_its_name(
    selector: AbstractAgentSelector, says: str
) -> None:
    """K19: and not as the cluster mode that asked it."""
    plan = propose(snapshot([agent("a")], [waiting()]), policy(selector), limit=10)

    ((by, reason),) = {(v.by, v.reason) for v in plan.refusals.values()}
    assert ("selector", says, [says]) == (by, reason, list(plan.faults))


@pytest.mark.parametrize(
    ("rank", "says"),
    [
        (raises, "ZeroDivisionError: no day"),
        (lambda: ("a", "b"), "TypeError: '<' not supported between instances of 'str' and 'int'"),
        (lambda: None, "TypeError: Value after * must be an iterable, not NoneType"),
    ],
)
def test_a_scheduler_that_cannot_rank_places_nothing_and_is_told_by_its_name(
    rank: Any, says: str
) -> None:
    """K19: one session is enough, as its order among the others is not known; the others are not lost."""
    scheduler = Unranked(rank=rank)
    made = snapshot([agent("a")], [waiting(), waiting()], scheduler)
    last = [waiting(priority=50), waiting()]
    for session in last:
        made.waiting.add(session)

    plan = propose(made, by(scheduler), limit=10)

    assert [] == plan.placements
    assert f"scheduler 'unranked' is broken: it cannot rank sessions: {says}" == plan.broken
    assert {plan.broken} == {verdict.reason for verdict in plan.refusals.values()}
    assert (False, []) == (plan.more, made.waiting.heads())

    made.waiting.discard(last[0].id)
    made.waiting.wake_all()
    assert 3 == len(propose(made, by(scheduler), limit=10).placements)


def test_another_scheduler_takes_over_from_one_that_cannot_rank() -> None:
    scheduler = Unranked(rank=raises)
    made = snapshot([agent("a")], [waiting(priority=50), waiting()], scheduler)
    assert propose(made, by(scheduler), limit=10).broken

    made.waiting.rank_anew(FifoScheduler({}).rank)
    made.waiting.wake_all()

    assert [50, 10] == [
        placed.session.priority for placed in propose(made, policy(), limit=10).placements
    ]
