"""Trying again: how often, how long between, and around what that is safe.

Three places repeat. A client repeats a command whose answer was lost (``RepeatPolicy.of_commands``):
commands of ours only read, or are scripts that are safe to repeat. ``execute_with_retry`` is around a
call that consists of more than one command, and is as safe. ``retry_txn`` is around read, compare and
set: what it repeats was refused, so nothing of it was written. Nothing else is repeated; a conflict with
a revision that a person named is theirs to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from threading import local
from time import monotonic
from typing import Any, TypeVar

from redis.backoff import AbstractBackoff, ExponentialWithJitterBackoff
from redis.retry import Retry

from scheduler.domain.errors import RevisionConflict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RepeatPolicy:
    """How often something is tried again, and the waits between: doubled each time, with jitter. Times in s."""

    times: int = 3
    initial: float = 0.02
    longest: float = 0.5

    def of_commands(self, patience: float = 0.0) -> Retry:
        """What redis-py does about a connection that broke; with ``patience``, for so long instead."""
        if patience:
            return PatientRetry(patience, self)
        return TimedRetry(LONGEST_S, self._waits(), self.times)

    def of_conflicts(self) -> Retry:
        """The same for what somebody else changed meanwhile."""
        return Retry(self._waits(), self.times, (RevisionConflict,))

    def _waits(self) -> ExponentialWithJitterBackoff:
        return ExponentialWithJitterBackoff(cap=self.longest, base=self.initial)


#: No try begins later than this after the first. A connection that broke is told at once, and tried again
#: as often as the policy says; one that hears nothing is known only when a command's time (5 s) is over. So
#: whoever meets a server that accepts and stays silent is told within ten seconds, connecting included.
LONGEST_S = 6.0
USUAL = RepeatPolicy()
#: Whoever asks knows better what a lost answer means, and when to give up.
NEVER = RepeatPolicy(times=0)


class _Thread(local):
    """When the outermost of the tries that lie within each other ends."""

    deadline: float = inf


_OF_THIS_THREAD = _Thread()


class TimedRetry(Retry):
    """Tries again so often (-1: without end), but for some seconds only."""

    def __init__(self, seconds: float, waits: AbstractBackoff, times: int) -> None:
        super().__init__(waits, times)
        self._seconds = seconds

    def call_with_retry(
        self, do: Callable[[], T], fail: Callable[..., Any], *more: Any, **options: Any
    ) -> T:
        """As redis-py's. Connecting is tried within a command that is: both end with the first's time."""
        around = _OF_THIS_THREAD.deadline
        deadline = min(around, monotonic() + self._seconds)

        def fail_in_time(error: Exception, *count: int) -> None:
            fail(error, *count)
            if monotonic() >= deadline:
                raise error

        _OF_THIS_THREAD.deadline = deadline
        try:
            return super().call_with_retry(do, fail_in_time, *more, **options)
        finally:
            _OF_THIS_THREAD.deadline = around


class PatientRetry(TimedRetry):
    """Tries again for some seconds, however often that is: as long as a failover may take."""

    def __init__(self, seconds: float, policy: RepeatPolicy = USUAL) -> None:
        waits = ExponentialWithJitterBackoff(policy.longest, policy.initial)
        super().__init__(seconds, waits, -1)


def execute_with_retry(call: Callable[[], T], policy: RepeatPolicy = USUAL) -> T:
    """Call it, and again while its connection breaks. Only for what may run twice as well as once.

    Raises what the last try raised: redis-py's ConnectionError or TimeoutError.
    """
    return policy.of_commands().call_with_retry(call, _nothing)


def retry_txn(change: Callable[[], T], policy: RepeatPolicy = USUAL) -> T:
    """Read, compare and set, and again while somebody else was faster. ``change`` must read anew.

    Raises RevisionConflict where it never won.
    """
    return policy.of_conflicts().call_with_retry(change, _nothing)


def _nothing(_: Exception) -> None:
    """There is nothing to put right before the next try."""
