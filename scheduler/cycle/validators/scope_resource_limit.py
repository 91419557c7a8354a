"""The sessions of any other scope hold at most so much of each slot."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.domain.scope import Scope


class ScopeResourceLimitExceeded(ResourceLimitExceeded):
    """The scope's sessions would hold too much."""


class ScopeResourceLimitValidator(ResourceLimitValidator):
    """Refuses a session that would take its pool, role, office or all sessions together over a limit of slots."""

    name: ClassVar[str] = "scope-resource-limit"
    kinds: ClassVar[frozenset[str]] = frozenset({"global", "office", "role", "pool"})
    error: ClassVar[type[ResourceLimitExceeded]] = ScopeResourceLimitExceeded

    def whose(self, scope: Scope) -> str:
        return f"The {scope.kind}"
