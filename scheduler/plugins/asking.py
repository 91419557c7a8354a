"""Asks validators: all that concern a session, and keeps every refusal, not just the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scheduler.domain.verdict import Cure, Failure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)

#: The rules about private sessions (seed 000, 3.1); no other is asked about them, a plugin's neither.
OF_PRIVATE: Final = frozenset({"reserved-batch", "dependencies", "concurrency"})


_MENDED: Final = Cure("plugin", "the plugin is mended")


def refusals(
    validators: Sequence[AbstractValidator], context: ValidatorContext
) -> tuple[Failure, ...]:
    """What the validators have against a session, in their order; () admits it."""
    found: list[Failure] = []
    private = context.request.private
    for validator in validators:
        if private and validator.name not in OF_PRIVATE:
            continue
        try:
            validator.validate(context)
        except SchedulerValidationError as error:
            found.append(Failure(validator.name, str(error), error.cures, error.excesses))
        except Exception as error:  # noqa: BLE001 - a broken rule refuses by its name, and stops nobody else
            broken = f"this rule is broken: {type(error).__name__}: {error}"
            found.append(Failure(validator.name, broken, (_MENDED,)))
    return tuple(found)
