"""Stands for a policy that cannot be loaded: places nothing, tells everybody who waits why, leads on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from scheduler.cycle.scheduler import Policy
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.domain.errors import InvalidInput
from scheduler.plugins.interfaces import AbstractScheduler, Candidate, SchedulingContext


class _Nobody(AbstractScheduler):
    name: ClassVar[str] = "none"

    def __init__(self, error: InvalidInput) -> None:
        super().__init__({})
        self._error = error

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (-candidate.priority, candidate.seq)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:  # noqa: ARG002 - nobody is
        raise self._error

    def pick_session(self) -> Candidate | None:
        return None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:
        """Nobody is placed."""


def unusable(error: InvalidInput) -> Policy:
    """A policy for a group whose options cannot be used here: what runs must be looked after."""
    return Policy(_Nobody(error), ConcentratedAgentSelector({}), (), grows=True)
