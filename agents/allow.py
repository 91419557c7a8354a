"""The allow-list: what an agent runs is decided where it stands, whoever signed the order."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AllowList:
    """Patterns for callables, and whether commands may run at all."""

    patterns: Sequence[str] = ()
    commands: bool = False

    def refusal(self, work: Mapping[str, Any]) -> str:
        """Why this work must not run here, as a sentence; empty when it may."""
        if "command" in work:
            return (
                ""
                if self.commands
                else "This agent runs no commands; start it with --allow-commands."
            )
        target = str(work.get("callable", ""))
        if self.names(target):
            return ""
        module = target.partition(":")[0]
        return (
            f"This agent's allow-list does not name {target}; start it with --allow '{module}.*'."
        )

    def names(self, target: str) -> bool:
        """Whether a callable (``module:function``) is on the list, in either spelling."""
        dotted = target.replace(":", ".")
        return any(
            fnmatch.fnmatchcase(dotted, pattern) or fnmatch.fnmatchcase(target, pattern)
            for pattern in self.patterns
        )
