"""A session with a start time waits for it (seed 000, 3.1)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class ReservedBatchNotStarted(SchedulerValidationError):
    """Now is before the start time."""


class ReservedBatchSessionValidator(AbstractValidator):
    """Refuses a session before its ``not_before``, by Redis' clock."""

    name: ClassVar[str] = "reserved-batch"

    def validate(self, context: ValidatorContext) -> None:
        if context.not_before is not None and context.now_ms < context.not_before:
            seconds = (context.not_before - context.now_ms + 999) // 1000
            raise ReservedBatchNotStarted(
                "Before start time", Cure("time", f"its start time comes, in {seconds} s")
            )
