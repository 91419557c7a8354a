"""What the rules about slots share: each is about the scopes of its kinds, and says whose quota it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from scheduler.domain.quota import asks_too_much, excesses_of, named
from scheduler.domain.scope import Scope, ScopeUse
from scheduler.domain.verdict import Cure
from scheduler.plugins.interfaces import (
    AbstractValidator,
    SchedulerValidationError,
    ValidatorContext,
)


class ResourceLimitExceeded(SchedulerValidationError):
    """With this session a scope would hold more of some slot than it may."""


class ResourceLimitValidator(AbstractValidator):
    """Refuses a session when what its scopes of some kinds hold and what it asks exceed any limit of slots."""

    kinds: ClassVar[frozenset[str]]
    error: ClassVar[type[ResourceLimitExceeded]]

    @abstractmethod
    def whose(self, scope: Scope) -> str:
        """How the message begins, e.g. "Your group"."""

    def validate(self, context: ValidatorContext) -> None:
        exceeded = context.exceeded
        if not exceeded:
            # The usual answer, for which each session that is placed is asked by five rules.
            return
        kinds = self.kinds
        over = {scope: said for scope, said in exceeded.items() if scope.kind in kinds}
        if over:
            uses = {
                scope: use
                for scope, use in context.scopes.items()
                if scope.kind in kinds and use.limits_slots
            }
            says = f"{self.whose(next(iter(over)))} resource quota is exceeded. {named(over)}"
            numbers = excesses_of(uses, context.request.families)
            families = context.request.families
            raise self.error(says, *_cures(uses, over, families), excesses=numbers)


def _cures(
    uses: Mapping[Scope, ScopeUse], over: Iterable[Scope], asked: Mapping[str, int]
) -> list[Cure]:
    cures = []
    for scope in over:
        event = f"scope:{scope.kind}:{scope.name}"
        main = uses[scope].limits.main_keypair
        if not asks_too_much(uses[scope], asked):
            cures.append(Cure(event, f"sessions of {scope} end"))
        elif main:
            another = f"`scheduler scope set {scope.kind} {scope.name} --main-keypair NAME`"
            cures.append(Cure(event, f"another keypair is its main one: {another}"))
        whose = Scope("keypair", main) if main else scope
        cures.append(
            Cure(
                f"scope:{whose.kind}:{whose.name}",
                f"its limit is raised: `scheduler scope set {whose.kind} {whose.name} --max-slots ...`",
            )
        )
    return cures
