"""A user's sessions hold at most what the user's main keypair may (seed 001)."""

from __future__ import annotations

from typing import ClassVar

from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.domain.scope import Scope


class UserResourceLimitExceeded(ResourceLimitExceeded):
    """The user's sessions would hold too much."""


class UserResourceLimitValidator(ResourceLimitValidator):
    """Refuses a session that would take its user over the limits of the user's main keypair.

    A main keypair without any limits is no policy, which admits nobody; a user for whom no main keypair
    was set has limits of its own.
    """

    name: ClassVar[str] = "user-resource-limit"
    kinds: ClassVar[frozenset[str]] = frozenset({"user"})
    error: ClassVar[type[ResourceLimitExceeded]] = UserResourceLimitExceeded

    def whose(self, _: Scope) -> str:
        return "Your main-keypair"
