"""Asks hooks: each in a thread of its own, so that one that hangs costs a cycle its budget and no more.

A thread cannot be ended from outside. A hook that does not come back is not asked again until it
does, and refuses by its name meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.verdict import Cure, Failure
from scheduler.plugins.hooks import AbstractHook, HookOutcome, HookResult
from scheduler.plugins.interfaces import ValidatorContext

#: Late answers in a row after which a hook is asked only now and then, and how often that is.
LATE_IN_A_ROW = 3
REST_S = 5.0
#: A thread without questions ends after this; the next question starts another.
_IDLE_S = 10.0
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


class _Thread:
    """Where one hook is asked; at most one question is open."""

    def __init__(self, hook: AbstractHook) -> None:
        self._hook = hook
        self._questions: SimpleQueue[ValidatorContext] = SimpleQueue()
        self._answers: SimpleQueue[HookResult] = SimpleQueue()
        self._lock = threading.Lock()
        self._runs = False
        self._open = False

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come; one that came late is dropped."""
        if self._open:
            try:
                self._answers.get_nowait()
            except Empty:
                return True
            self._open = False
        return False

    def ask(self, context: ValidatorContext, within: float) -> HookResult | None:
        """The answer, or None where it did not come in time (s). Only while not busy."""
        self._open = True
        with self._lock:
            self._questions.put(context)
            if not self._runs:
                self._runs = True
                threading.Thread(
                    target=self._answer, name=f"hook-{self._hook.name}", daemon=True
                ).start()
        try:
            result = self._answers.get(timeout=within)
        except Empty:
            return None
        self._open = False
        return result

    def _answer(self) -> None:
        while True:
            try:
                context = self._questions.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if not self._questions.empty():
                        continue
                    self._runs = False
                    return
            self._answers.put(_told(self._hook, context))


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
        self._thread = _Thread(hook)
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
        if self._thread.busy:
            return self._failed(_BUSY)
        result = self._thread.ask(context, max(0.0, self._budget - self._used))
        now = self._clock.monotonic()
        self._used += now - began
        if result is None:
            self._late += 1
            self._rests_until = now + REST_S
            return self._failed(_LATE.format(budget=self._hook.budget_ms))
        self._late = 0
        return self._read(result)

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
