"""A scope runs at most so many sessions at once (seed 000, 3.2)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.verdict import Cure, Excess
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class ConcurrencyLimitReached(SchedulerValidationError):
    """A scope of the session has no room for one more."""


class ConcurrencyValidator(AbstractValidator):
    """Refuses a session when any of its scopes holds as many sessions as it may."""

    name: ClassVar[str] = "concurrency"

    def validate(self, context: ValidatorContext) -> None:
        for scope, use in context.scopes.items():
            if use.max_sessions is not None and use.used >= use.max_sessions:
                raise ConcurrencyLimitReached(
                    f"You cannot run more than {use.max_sessions} concurrent sessions"
                    f" ({scope}: {use.used} of {use.max_sessions} in use)",
                    Cure(f"scope:{scope.kind}:{scope.name}", f"a session of {scope} ends"),
                    Cure(
                        f"scope:{scope.kind}:{scope.name}",
                        f"its limit is raised: `scheduler scope set {scope.kind} {scope.name} --max-sessions N`",
                    ),
                    excesses=[Excess(f"{scope} sessions", use.used, 1, use.max_sessions)],
                )
