"""At most so many sessions of a scope wait at once (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.quota import pending_count_refusal
from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class PendingSessionCountLimitReached(SchedulerValidationError):
    """No more sessions of a scope may begin to wait."""


class PendingSessionCountLimitValidator(AbstractValidator):
    """Refuses a session that is being submitted when as many as may wait do so already.

    Only then. Judged in a cycle, a session that waits would count against itself, so that a limit of 1
    never schedules; and a limit set below what waits would hold all of it for ever. At a submit, and
    when a session is asked to run again, the script that writes it judges by the same rule.
    """

    name: ClassVar[str] = "pending-session-count-limit"

    def validate(self, context: ValidatorContext) -> None:
        if not context.submitting:
            return
        says, over = pending_count_refusal(context.scopes)
        if over:
            raise PendingSessionCountLimitReached(
                says,
                *[
                    Cure(f"scope:{scope.kind}:{scope.name}", cure)
                    for scope in over
                    for cure in (
                        f"a session of {scope} that waits is placed or cancelled",
                        f"its limit is raised: `scheduler scope set {scope.kind} {scope.name} --max-pending N`",
                    )
                ],
            )
