"""Plugins of a site: a validator, a hook, a scheduler and an agent selector."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from scheduler.cycle.selectors.ranked import Rank, RankedAgentSelector
from scheduler.domain.spec import SessionType
from scheduler.plugins.hooks import AbstractHook, HookResult
from scheduler.plugins.interfaces import (
    AbstractScheduler,
    AbstractValidator,
    AgentView,
    Candidate,
    Need,
    SchedulerValidationError,
    SchedulingContext,
    ValidatorContext,
)
from scheduler.plugins.options import SCHEDULER_OPTS, PluginOptions, read_options

#: Names a file; while it exists, nothing new starts, for the reason that stands in it.
CLOSED_FILE = "ACME_CLOSED_FILE"


class Modest(AbstractValidator):
    """An interactive session has 2 CPUs at most."""

    name: ClassVar[str] = "modest"

    def validate(self, context: ValidatorContext) -> None:
        request = context.request
        if request.session_type is SessionType.INTERACTIVE and request.families["cpu"] > 2_000:  # noqa: PLR2004 - said above
            raise SchedulerValidationError("An interactive session has 2 CPUs at most")


class Closed(AbstractHook):
    """Nothing starts while the machine room is closed; it is told by a file on a share that may be slow."""

    name: ClassVar[str] = "closed"
    budget_ms: ClassVar[int] = 20
    asks_request_only: ClassVar[bool] = True

    def check(self, context: ValidatorContext) -> HookResult:
        note = Path(os.environ.get(CLOSED_FILE, "/etc/acme/closed"))
        if context.request.session_type is SessionType.SYSTEM or not note.exists():
            return HookResult.passed()
        return HookResult.rejected(f"the machine room is closed: {note.read_text().strip()}")


class _SmallestOptions(PluginOptions):
    slot: str = "cpu"


class SmallestFirst(AbstractScheduler):
    """What asks for the least of a slot comes first."""

    name: ClassVar[str] = "smallest-first"

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._slot = read_options(_SmallestOptions, opts, self.name, SCHEDULER_OPTS).slot
        self._heap: list[tuple[int, int, Candidate]] = []

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        return (candidate.seq,)

    def prioritize(self, context: SchedulingContext, heads: Iterable[Candidate]) -> None:  # noqa: ARG002 - the size is all that counts
        self._heap = [self._entry(head) for head in heads]
        heapq.heapify(self._heap)

    def pick_session(self) -> Candidate | None:
        return heapq.heappop(self._heap)[2] if self._heap else None

    def update_allocation(self, placed: Candidate, successor: Candidate | None) -> None:  # noqa: ARG002 - no shares are kept
        if successor is not None:
            heapq.heappush(self._heap, self._entry(successor))

    def _entry(self, head: Candidate) -> tuple[int, int, Candidate]:
        return (head.request.families.get(self._slot, 0), head.seq, head)


class Busiest(RankedAgentSelector):
    """The agent with the least left of what is asked, so that idle ones can be switched off."""

    name: ClassVar[str] = "busiest"

    def amounts(self, view: AgentView, index: int, need: Need) -> Rank:
        return tuple(view.free_by_family(index).get(family, 0) for family in self.families(need))
