"""Hooks in a cycle: what they refuse, what they cost, and what becomes of one that does not come back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scheduler.cycle.hooks import LATE_IN_A_ROW, REST_S, HookChain
from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.domain.clock import SystemClock
from scheduler.domain.scope import ScopeLimits
from scheduler.domain.verdict import Cure, Failure
from scheduler.plugins.hooks import AbstractHook, HookResult
from scheduler.plugins.interfaces import ValidatorContext
from scheduler.testing import wait_until
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

PASSED = HookResult.passed()


class Hook(AbstractHook):
    """A hook that answers what it is told to."""

    name: ClassVar[str] = "licence"
    #: More than a busy machine takes for an answer.
    budget_ms: ClassVar[int] = 60_000

    def __init__(self, answer: Callable[[ValidatorContext], Any] = lambda _: PASSED) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def check(self, context: ValidatorContext) -> HookResult:
        self.asked.append(context.session)
        answer: HookResult = self.answer(context)
        return answer


class Hurried(Hook):
    """A hook whose budget counts."""

    budget_ms: ClassVar[int] = 50


class Hanging(Hook):
    """A hook that does not come back before it is let go."""

    budget_ms: ClassVar[int] = 20

    def __init__(self) -> None:
        super().__init__(self._hang)
        self.let_go = threading.Event()

    def _hang(self, _: ValidatorContext) -> HookResult:
        self.let_go.wait(30)
        return PASSED


class Hand:
    """A clock moved by hand; while it is not, it stands."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return int(self.now * 1_000)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.let_go.set()


def asking(*hooks: AbstractHook, clock: Any = None) -> Policy:
    return replace(policy(), hooks=HookChain(hooks, clock))


def context(name: str = "s") -> ValidatorContext:
    return ValidatorContext(name, request(), 0)


def names(plan: Plan) -> list[str]:
    return [placement.session.id for placement in plan.placements]


def reasons(plan: Plan) -> list[str]:
    return [failure.reason for v in plan.refusals.values() for failure in v.failures]


def test_a_session_that_every_hook_passes_is_placed() -> None:
    """K9."""
    hook = Hook()
    made = snapshot([agent("a")], [waiting(name="s")])

    assert ["s"] == names(propose(made, asking(hook), limit=10))
    assert ["s"] == hook.asked


def test_a_rejection_is_told_by_the_hook_with_its_reason_and_cures() -> None:
    """K9: the line sleeps until the cure comes."""
    cure = Cure("licence:freed", "a licence is given back")
    hook = Hook(lambda _: HookResult.rejected("no licence of 5 is free", cure))
    made = snapshot([agent("a")], [waiting(asked := request(), name="s")])

    plan = propose(made, asking(hook), limit=10)
    hook.answer = lambda _: PASSED
    asleep = propose(made, asking(hook), limit=10)
    made.waiting.wake("licence:freed")

    refused = plan.refusals[asked.id].failures
    assert (Failure("licence", "no licence of 5 is free", (cure,)),) == refused
    assert [] == asleep.placements
    assert ["s"] == names(propose(made, asking(hook), limit=10))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda _: 1 / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda _: sys.exit("no"), "it raised SystemExit: no"),
        (lambda _: None, "it answered None, which is no HookResult"),
        (lambda _: True, "it answered True, which is no HookResult"),
        (lambda _: HookResult.failed("the server is away"), "the server is away"),
        (lambda _: HookResult.failed(""), "it gives no reason"),
        (lambda _: HookResult.rejected("no", "later"), "its cures are none"),  # type: ignore[arg-type]
    ],
)
def test_a_hook_that_cannot_look_fails_the_session_by_its_name(answer: Any, says: str) -> None:
    """K9: REJECTED and raised both count; nothing else stops."""
    hook = Hook(lambda c: answer(c) if c.session == "s" else PASSED)
    made = snapshot([agent("a")], [waiting(request(mem="7"), name="s"), waiting(name="t")])

    plan = propose(made, asking(hook), limit=10)

    assert (["t"], [f"hook licence failed: {says}"]) == (names(plan), reasons(plan))


def test_hooks_are_asked_by_name_and_only_of_what_validators_admit() -> None:
    asked: list[str] = []

    def made_of(called: str) -> AbstractHook:
        def note(_: ValidatorContext) -> HookResult:
            asked.append(called)
            return HookResult.rejected(f"{called} says no")

        made: AbstractHook = type(called, (Hook,), {"name": called})(note)
        return made

    hooks = [made_of("zebra"), made_of("ant")]
    full = snapshot([agent("a")], [waiting(request(keypair="k"))])
    full.scopes.update(
        {
            scope: replace(use, limits=ScopeLimits(0))
            for scope, use in full.scope_use(request(keypair="k").scopes).items()
        }
    )

    refused = propose(full, asking(*hooks), limit=10)
    assert ([], 1) == (asked, len(refused.refusals))

    plan = propose(snapshot([agent("a")], [waiting()]), asking(*hooks), limit=10)
    assert ["ant", "zebra"] == asked
    assert ["ant says no", "zebra says no"] == reasons(plan)


def test_a_hook_that_hangs_costs_a_cycle_its_budget_and_no_more(hanging: Hanging) -> None:
    """K9: 300 lines do not cost 300 budgets; the next cycle is not held up at all."""
    lines = [waiting(request(mem=str(mem))) for mem in range(1, 301)]
    made = snapshot([agent("a")], lines)
    rules, clock = asking(hanging), SystemClock()

    began = clock.monotonic()
    first = propose(made, rules, limit=100)
    second = propose(made, rules, limit=100)
    took = clock.monotonic() - began

    assert (1, True) == (len(first.refusals), first.more)
    assert (299, False) == (len(second.refusals), second.more)
    assert (1, []) == (len(hanging.asked), [*first.placements, *second.placements])
    assert took < 5
    assert {
        "hook licence failed: it did not answer within its budget of 20 ms",
        "hook licence failed: it has not come back from an earlier question yet",
    } == {*reasons(first), *reasons(second)}


def test_a_hook_that_comes_back_is_asked_again_and_its_late_answer_is_dropped(
    hanging: Hanging,
) -> None:
    chain = HookChain([hanging])
    chain.begin()
    late = chain.check(context("late"))
    hanging.let_go.set()

    def again() -> bool:
        chain.begin()
        return chain.check(context("again")) == ()

    assert "budget" in late[0].reason
    wait_until(again, within=60, saying="it was not asked again")
    assert "late" == hanging.asked[0]


def test_a_hook_that_is_late_again_and_again_is_left_alone_for_a_while() -> None:
    """A budget each few seconds is what it costs then."""
    gate = threading.Semaphore(0)

    def slow(_: ValidatorContext) -> HookResult:
        gate.acquire()
        return PASSED

    hook, clock = Hurried(slow), Hand()
    chain = HookChain([hook], clock)

    def ask() -> str:
        chain.begin()
        return "".join(failure.reason for failure in chain.check(context()))

    def late() -> str:
        """One late answer; it has come back afterwards."""

        def look() -> str:
            said = ask()
            return "" if "come back" in said else said

        said = wait_until(look, within=60, saying="it does not come back")
        gate.release()
        return said

    for _ in range(LATE_IN_A_ROW):
        assert "budget" in late()
    asked = len(hook.asked)
    assert "3 times in a row" in ask()
    assert "3 times in a row" in ask()
    assert asked == len(hook.asked)

    clock.now += REST_S
    assert "budget" in late()
    assert "3 times in a row" in ask()

    clock.now += REST_S
    gate.release()
    wait_until(lambda: not ask(), within=60, saying="it is in time again")
    gate.release()
    assert "" == ask()


def test_a_slow_hook_ends_the_cycle_early_and_the_next_goes_on() -> None:
    """No answer gets less than half of the budget, and a cycle never more than all of it."""
    clock = Hand()

    def slow(_: ValidatorContext) -> HookResult:
        clock.now += 0.020
        return PASSED

    made = snapshot([agent("a", 90_000)], [waiting() for _ in range(5)])
    rules = asking(Hurried(slow), clock=clock)

    plans = [propose(made, rules, limit=100) for _ in range(3)]

    assert [(2, True), (2, True), (1, False)] == [(len(p.placements), p.more) for p in plans]


def test_a_hook_that_looks_at_the_request_only_is_asked_once_for_equal_ones() -> None:
    class Once(Hook):
        asks_request_only: ClassVar[bool] = True

    hook, other = Once(), request(mem="7")
    made = snapshot([agent("a", 90_000)], [*(waiting() for _ in range(5)), waiting(other)])
    rules = asking(hook)

    assert 3 == len(propose(made, rules, limit=3).placements)
    assert 1 == len(hook.asked)
    assert 3 == len(propose(made, rules, limit=9).placements)
    assert 3 == len(hook.asked)


def test_what_hooks_refused_is_recalled_without_asking() -> None:
    hook = Hook(lambda _: HookResult.rejected("no"))
    chain = HookChain([hook])
    recalled = chain.recalled()
    chain.begin()
    recalled.begin()

    assert ((), False) == (recalled.check(context()), recalled.spent)
    refused = chain.check(context())
    assert refused == recalled.check(context("another"))
    hook.answer = lambda _: PASSED
    chain.check(context())
    assert ((), 2) == (recalled.check(context()), len(hook.asked))


def test_a_thread_that_is_not_needed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.service.budget._IDLE_S", 0.01)

    class Idle(Hook):
        name: ClassVar[str] = "idle"

    chain = HookChain([hook := Idle()])

    def runs() -> bool:
        return any(thread.name == "hook-idle" for thread in threading.enumerate())

    for _ in range(3):
        chain.begin()
        assert () == chain.check(context())
        wait_until(lambda: not runs(), within=60, saying="the thread goes on")
    assert 3 == len(hook.asked)
