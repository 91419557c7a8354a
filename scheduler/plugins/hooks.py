"""What a hook implements: one more question about a session, asked with a time budget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import ValidatorContext


class HookOutcome(StrEnum):
    """How a hook answered."""

    PASSED = "passed"
    REJECTED = "rejected"  #: it looked, and says no
    FAILED = "failed"  #: it could not look


@dataclass(frozen=True, slots=True)
class HookResult:
    """A hook's answer (seed 000, 3.3); a session runs only if every hook passed it."""

    outcome: HookOutcome
    reason: str = ""
    cures: tuple[Cure, ...] = ()

    @classmethod
    def passed(cls) -> HookResult:
        """The session may run."""
        return cls(HookOutcome.PASSED)

    @classmethod
    def rejected(cls, reason: str, *cures: Cure) -> HookResult:
        """It may not, for a reason people read, until one of these events; by the sweep without any."""
        return cls(HookOutcome.REJECTED, reason, cures)

    @classmethod
    def failed(cls, reason: str) -> HookResult:
        """Nobody knows whether it may, so it does not."""
        return cls(HookOutcome.FAILED, reason)


class AbstractHook(ABC):
    """A question that may take time, as one to a licence server: a hook runs beside the cycle.

    Hooks are asked in the order of their names about sessions that every validator admits, private
    ones too. A hook is asked in a thread of its own, one question at a time.
    """

    name: ClassVar[str]
    #: What it may cost a cycle, ms. An answer that is later counts as a failure.
    budget_ms: ClassVar[int] = 50
    #: Whether equal requests get equal answers: then it is asked once for all of them in a cycle.
    asks_request_only: ClassVar[bool] = False

    @abstractmethod
    def check(self, context: ValidatorContext) -> HookResult:
        """Whether the session may run now; what it raises counts as a failure."""
