"""A domain's sessions hold at most so much of each slot (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.domain.scope import Scope


class DomainResourceLimitExceeded(ResourceLimitExceeded):
    """The domain's sessions would hold too much."""


class DomainResourceLimitValidator(ResourceLimitValidator):
    """Refuses a session that would take its domain over any of its limits of slots."""

    name: ClassVar[str] = "domain-resource-limit"
    kinds: ClassVar[frozenset[str]] = frozenset({"domain"})
    error: ClassVar[type[ResourceLimitExceeded]] = DomainResourceLimitExceeded

    def whose(self, _: Scope) -> str:
        return "Your domain"
