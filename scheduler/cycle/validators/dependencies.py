"""A session waits until all it depends on has succeeded (seed 000, 3.1)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class DependenciesNotMet(SchedulerValidationError):
    """A dependency has not ended with success."""


class DependenciesValidator(AbstractValidator):
    """Refuses a session while a dependency has not ended with success."""

    name: ClassVar[str] = "dependencies"

    def validate(self, context: ValidatorContext) -> None:
        if not context.unmet:
            return
        names = ", ".join(f"{d.name} ({d.id})" if d.name else d.id for d in context.unmet)
        raise DependenciesNotMet(
            f"Waiting dependency sessions to finish as success. ({names})",
            *[
                Cure(f"session:{d.id}", f"session {d.id}, now {d.state}, succeeds")
                for d in context.unmet
                if d.state
            ],
        )
