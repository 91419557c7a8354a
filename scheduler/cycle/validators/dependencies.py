"""A session waits until all it depends on has succeeded (seed 000, 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    Dependency,
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
        if held := [d for d in context.unmet if d.held]:
            raise DependenciesNotMet(
                f"Held by dependency sessions that did not end as success. ({_named(held)})",
                Cure(
                    f"release:{context.session}", f"`scheduler session release {context.session}`"
                ),
                *[
                    Cure(
                        f"session:{d.id}", f"session {d.id}, now {d.state}, is retried and succeeds"
                    )
                    for d in held
                ],
            )
        names = _named(context.unmet)
        raise DependenciesNotMet(
            f"Waiting dependency sessions to finish as success. ({names})",
            *[
                Cure(f"session:{d.id}", f"session {d.id}, now {d.state}, succeeds")
                for d in context.unmet
                if d.state
            ],
        )


def _named(dependencies: Sequence[Dependency]) -> str:
    return ", ".join(f"{d.name} ({d.id})" if d.name else d.id for d in dependencies)
