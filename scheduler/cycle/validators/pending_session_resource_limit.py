"""The sessions of a scope that wait ask for at most so much of each slot (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.quota import pending_slots_refusal
from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class PendingSessionResourceLimitExceeded(SchedulerValidationError):
    """With this session, those of a scope that wait would ask for too much."""


class PendingSessionResourceLimitValidator(AbstractValidator):
    """Refuses a session that is being submitted when, with it, those that wait ask for more than they may.

    Only then, for the reasons that `PendingSessionCountLimitValidator` gives.
    """

    name: ClassVar[str] = "pending-session-resource-limit"

    def validate(self, context: ValidatorContext) -> None:
        if not context.submitting:
            return
        says, over = pending_slots_refusal(context.scopes, context.request.families)
        if over:
            raise PendingSessionResourceLimitExceeded(
                says,
                *[
                    Cure(f"scope:{scope.kind}:{scope.name}", cure)
                    for scope in over
                    for cure in (
                        f"sessions of {scope} that wait are placed or cancelled",
                        f"its limit is raised: `scheduler scope set {scope.kind} {scope.name} --max-pending-slots ...`",
                    )
                ],
            )
