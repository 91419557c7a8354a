"""An office and time: what its history says of timeouts, and a look at its jobs now, by hand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from scheduler.domain.clock import Clock
from scheduler.domain.durations import Durations, RecommendedTimeout, recommend
from scheduler.domain.errors import NoLeader
from scheduler.domain.scope import Scope
from scheduler.domain.states import PLACED, SessionState
from scheduler.store.durations import DurationRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.jobs import JobRepository
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import ScopeRepository

#: How long `process_office` waits for the leaders, s.
PATIENCE_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.02


class Store(Protocol):
    """The repositories that are needed."""

    @property
    def clock(self) -> Clock: ...
    @property
    def offices(self) -> OfficeRepository: ...
    @property
    def durations(self) -> DurationRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...
    @property
    def jobs(self) -> JobRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def leadership(self) -> LeadershipRepository: ...


def recommended_timeouts(store: Store, office: str) -> list[RecommendedTimeout]:
    """By role: how long its runs took, the setting in force, and what is recommended.

    Roles are those that ran and those that the office knows; "" stands for jobs without one. Raises
    OfficeNotFound.
    """
    config = store.offices.read(office).config
    found = store.durations.read(office)
    roles = sorted({*found, *config.known_roles, ""})
    return [
        recommend(role, found.get(role, Durations()), config.timeout_of(role))
        for role in roles
        if role or role in found or len(roles) == 1
    ]


@dataclass(frozen=True, slots=True)
class Processed:
    """An office as it stands after its jobs were looked at."""

    office: str
    ready: int
    running: int  #: jobs that hold a slot, from their placement until they are over
    free_slots: int
    looked: bool  #: whether every group's leader has looked, within the time that was waited
    no_leader: tuple[str, ...]  #: groups that nobody leads now

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def process_office(store: Store, office: str, *, within: float = PATIENCE_S) -> Processed:
    """Have all jobs of an office decided anew now, whatever they were refused for.

    Waits up to ``within`` s for the leaders. Raises OfficeNotFound.
    """
    config = store.offices.read(office).config
    looked, no_leader = _ask(store, office, within)
    counts = store.jobs.counts(office)
    scope = Scope("office", office)
    held = store.scopes.read([scope])[scope].sessions
    return Processed(
        office=office,
        ready=counts[SessionState.READY],
        running=sum(counts[state] for state in PLACED),
        free_slots=max(0, config.max_concurrent_jobs - held),
        looked=looked,
        no_leader=tuple(no_leader),
    )


def process_every_office(store: Store, *, within: float = PATIENCE_S) -> bool:
    """The same for every office that has jobs waiting or placed; whether all leaders have looked."""
    looked, no_leader = _ask(store, "*", within)
    return looked and not no_leader


def _ask(store: Store, office: str, within: float) -> tuple[bool, Sequence[str]]:
    marks: dict[str, str] = {}
    no_leader = []
    for group in store.groups.names():
        try:
            marks[group] = store.leadership.ask_process(group, office)
        except NoLeader:
            no_leader.append(group)
    deadline, pause = store.clock.monotonic() + within, threading.Event()
    while marks:
        marks = {g: mark for g, mark in marks.items() if not store.leadership.has_acted(g, mark)}
        if marks and store.clock.monotonic() >= deadline:
            return False, no_leader
        pause.wait(_LOOK_EVERY_S if marks else 0)
    return True, no_leader
