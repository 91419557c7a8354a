"""Subscribers: who is told what happens, each event at least once and in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.events import CATALOGUE
from scheduler.domain.ids import is_name, shown
from scheduler.domain.job_events import JobEvent, selects
from scheduler.domain.throttle import NOTHING_YET, Throttle, Window

#: Failures in a row after which a subscriber is parked: with back-offs up to a minute about six minutes.
MAX_FAILURES = 10
#: How long one delivery may take, s.
BUDGET_S = 10.0
ALL_EVENTS = ("*",)


@dataclass(frozen=True, slots=True)
class SubscriberData:
    """One subscriber as stored. Times are ms of Redis' clock."""

    name: str
    kind: str  #: the plugin that delivers
    opts: Mapping[str, Any]
    events: tuple[str, ...]  #: names, or patterns such as session.*
    cursor: str  #: id of the last event that was delivered, or passed over
    delivered: int = 0
    failed: int = 0  #: deliveries that failed, in all
    failures: int = 0  #: those in a row, of the event that is next
    error: str = ""  #: what the last failure said
    next_at: int = 0  #: when it is tried again
    parked_at: int | None = None
    down_since: int | None = None  #: when it was parked first, until it takes something again
    chances: int = 0  #: how often it was given its next event once more since then
    gaps: int = 0  #: how often events were gone before they were delivered
    throttle: Throttle | None = None
    window: Window = NOTHING_YET  #: what its throttle let through and held back

    @property
    def parked(self) -> bool:
        """Whether it gets nothing until it is given another chance, or an operator resumes it."""
        return self.parked_at is not None

    def wants(self, event: str) -> bool:
        """Whether it asked for events of this name, or of the job's name for it."""
        return selects(self.events, event)


def check_subscriber(name: str, events: Sequence[str]) -> None:
    """Refuse a name that is none, and a pattern that no event has. Raises InvalidSetting."""
    if not is_name(name):
        problem = f"{shown(name)} is no name: letters, digits, _ and - only, at most 63"
        raise InvalidSetting(name="subscriber", problem=problem)
    check_patterns(events)


def check_patterns(events: Sequence[str]) -> None:
    """Refuse names and patterns that no event has. Raises InvalidSetting."""
    for pattern in events:
        if not any(fnmatchcase(event, pattern) for event in (*CATALOGUE, *JobEvent)):
            raise InvalidSetting(
                name="events",
                problem=f"{shown(pattern)} names no event; there are session.*, job_*, agent.*, group.*"
                " and those of docs/architecture.md",
            )
    if not events:
        raise InvalidSetting(name="events", problem="name at least one, or * for all")
