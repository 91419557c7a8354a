"""A keypair's sessions hold at most so much of each slot (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.domain.scope import Scope


class KeypairResourceLimitExceeded(ResourceLimitExceeded):
    """The keypair's sessions would hold too much."""


class KeypairResourceLimitValidator(ResourceLimitValidator):
    """Refuses a session that would take its keypair over any of its limits of slots."""

    name: ClassVar[str] = "keypair-resource-limit"
    kinds: ClassVar[frozenset[str]] = frozenset({"keypair"})
    error: ClassVar[type[ResourceLimitExceeded]] = KeypairResourceLimitExceeded

    def whose(self, _: Scope) -> str:
        return "Your keypair"
