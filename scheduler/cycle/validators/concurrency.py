"""A scope runs at most so many sessions at once (seed 000, 3.2)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.office import limit_command
from scheduler.domain.scope import Scope, ScopeUse
from scheduler.domain.verdict import Cure, Excess
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class ConcurrencyLimitReached(SchedulerValidationError):
    """A scope of the session has no room for one more."""


class ConcurrencyValidator(AbstractValidator):
    """Refuses a session when any of its scopes holds as many sessions as it may.

    Private sessions hold a scope of their own, with a limit of its own.
    """

    name: ClassVar[str] = "concurrency"

    def validate(self, context: ValidatorContext) -> None:
        for use in context.scopes.values():
            if use.full:
                break
        else:
            return  # mostly: nothing is built for it
        full = {scope: use for scope, use in context.scopes.items() if use.full}
        limit = next(iter(full.values())).limits.max_sessions
        found = [
            f"{scope}: {use.sessions} of {use.limits.max_sessions} in use"
            for scope, use in full.items()
        ]
        raise ConcurrencyLimitReached(
            f"You cannot run more than {limit} concurrent sessions ({'; '.join(found)})",
            *[cure for scope, use in full.items() for cure in _cures(scope, use)],
            excesses=[
                Excess(f"{scope} sessions", use.sessions, 1, use.limits.max_sessions or 0)
                for scope, use in full.items()
            ],
        )


def _cures(scope: Scope, use: ScopeUse) -> list[Cure]:
    event = f"scope:{scope.kind}:{scope.name}"
    raised = Cure(event, f"its limit is raised: `{limit_command(scope)}`")
    # Under a limit of 0 nothing runs that could end.
    return (
        [Cure(event, f"a session of {scope} ends"), raised] if use.limits.max_sessions else [raised]
    )
