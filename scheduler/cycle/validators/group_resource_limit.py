"""A group's sessions hold at most so much of each slot (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.domain.scope import Scope


class GroupResourceLimitExceeded(ResourceLimitExceeded):
    """The group's sessions would hold too much."""


class GroupResourceLimitValidator(ResourceLimitValidator):
    """Refuses a session that would take its group, by name, over any of its limits of slots."""

    name: ClassVar[str] = "group-resource-limit"
    kinds: ClassVar[frozenset[str]] = frozenset({"group"})
    error: ClassVar[type[ResourceLimitExceeded]] = GroupResourceLimitExceeded

    def whose(self, _: Scope) -> str:
        return "Your group"
