"""Asks hooks: each in a thread of its own, so that one that hangs costs a cycle its budget and no more.

A thread cannot be ended from outside. A hook that does not come back is not asked again until it
does, and refuses by its name meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.verdict import Cure, Failure
from scheduler.plugins.hooks import AbstractHook, HookOutcome, HookResult
from scheduler.plugins.interfaces import ValidatorContext
from scheduler.service.budget import Budgeted, OverBudget

#: Late answers in a row after which a hook is asked only now and then, and how often that is.
LATE_IN_A_ROW = 3
REST_S = 5.0
#: Refusals that are remembered, by request.
_REMEMBERED = 10_000
_LONGEST_REASON = 1_000

_LATE = "it did not answer within its budget of {budget} ms"
_BUSY = "it has not come back from an earlier question yet"
_RESTS = f"it was late {LATE_IN_A_ROW} times in a row, and is asked every {REST_S:g} s until it is in time again"


class Hooks(Protocol):
    """Who answers for the hooks in a cycle."""

    @property
    def spent(self) -> bool:
        """Whether the cycle must end early, for a hook has used most of its time."""
        ...

    @property
    def names(self) -> frozenset[str]:
        """Who they are."""
        ...

    def begin(self) -> None:
        """A cycle begins."""
        ...

    def check(self, context: ValidatorContext) -> tuple[Failure, ...]:
        """What hooks refuse of a session."""
        ...

    def recalled(self) -> Hooks:
        """The same without asking: what hooks refused of such a request when they were asked last."""
        ...


def _told(hook: AbstractHook, context: ValidatorContext) -> HookResult:
    """What a hook answers, put in order."""
    try:
        result: object = hook.check(context)
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its answer; nobody else reads it
        return HookResult.failed(f"it raised {type(error).__name__}: {error}")
    if not isinstance(result, HookResult):
        return HookResult.failed(f"it answered {result!r:.80}, which is no HookResult")
    return result


class _Desk:
    """One hook in its cycles: what it has used of its budget, and whether it is left alone."""

    def __init__(self, hook: AbstractHook, clock: Clock) -> None:
        self.name = hook.name
        self._hook = hook
        self._clock = clock
        self._calls = Budgeted(f"hook-{hook.name}")
        self._budget = hook.budget_ms / 1000
        self._used = 0.0
        self._late = 0
        self._rests_until = 0.0
        self._answered: dict[str, tuple[Failure, ...]] = {}

    @property
    def spent(self) -> bool:
        """Whether less than half of its budget is left: every question gets at least so much."""
        return self._used > self._budget / 2

    def begin(self) -> None:
        self._used = 0.0
        self._answered.clear()

    def check(self, context: ValidatorContext) -> tuple[Failure, ...]:
        if not self._hook.asks_request_only:
            return self._ask(context)
        request = context.request.id
        if request not in self._answered:
            self._answered[request] = self._ask(context)
        return self._answered[request]

    def _ask(self, context: ValidatorContext) -> tuple[Failure, ...]:
        began = self._clock.monotonic()
        if self._late >= LATE_IN_A_ROW and began < self._rests_until:
            return self._failed(_RESTS)
        if self._calls.hangs:
            return self._failed(_BUSY)
        answers: list[HookResult] = []
        with suppress(OverBudget):
            self._calls.call(
                lambda: answers.append(_told(self._hook, context)),
                max(0.0, self._budget - self._used),
            )
        now = self._clock.monotonic()
        self._used += now - began
        if not answers:
            self._late += 1
            self._rests_until = now + REST_S
            return self._failed(_LATE.format(budget=self._hook.budget_ms))
        self._late = 0
        return self._read(answers[0])

    def _read(self, result: HookResult) -> tuple[Failure, ...]:
        if result.outcome is HookOutcome.PASSED:
            return ()
        reason = str(result.reason)[:_LONGEST_REASON] or "it gives no reason"
        if result.outcome is HookOutcome.FAILED:
            return self._failed(reason)
        if not all(isinstance(cure, Cure) for cure in result.cures):
            return self._failed("its cures are none")
        return (Failure(self.name, reason, tuple(result.cures)),)

    def _failed(self, why: str) -> tuple[Failure, ...]:
        return (Failure(self.name, f"hook {self.name} failed: {why}"),)


class HookChain:
    """All hooks of a term, in the order of their names. One thread uses it."""

    def __init__(self, hooks: Iterable[AbstractHook] = (), clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._desks: Sequence[_Desk] = [
            _Desk(hook, clock) for hook in sorted(hooks, key=lambda hook: hook.name)
        ]
        self.names = frozenset(desk.name for desk in self._desks)
        self._refused: dict[str, tuple[Failure, ...]] = {}

    @property
    def spent(self) -> bool:
        """Whether the cycle must end early, so that no hook costs it more than its budget."""
        return any(desk.spent for desk in self._desks)

    def begin(self) -> None:
        """A cycle begins: every hook has its budget again."""
        for desk in self._desks:
            desk.begin()

    def check(self, context: ValidatorContext) -> tuple[Failure, ...]:
        """Ask every hook, and keep what each of them refuses."""
        if not self._desks:
            return ()
        failures = tuple(failure for desk in self._desks for failure in desk.check(context))
        self._refused.pop(context.request.id, None)
        if failures:
            if len(self._refused) >= _REMEMBERED:
                del self._refused[next(iter(self._refused))]
            self._refused[context.request.id] = failures
        return failures

    def recalled(self) -> Hooks:
        return _Recalled(self._refused, self.names)


class _Recalled:
    spent = False

    def __init__(self, refused: dict[str, tuple[Failure, ...]], names: frozenset[str]) -> None:
        self._refused, self.names = refused, names

    def begin(self) -> None:
        """Nothing is asked, so nothing is used."""

    def check(self, context: ValidatorContext) -> tuple[Failure, ...]:
        return self._refused.get(context.request.id, ())

    def recalled(self) -> Hooks:
        return self
