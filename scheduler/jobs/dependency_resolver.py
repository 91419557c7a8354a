"""DependencyResolver: which jobs of an office may run, and in which order jobs can (seed 002)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from scheduler.domain.graph import Node, detect_cycle, execution_order
from scheduler.domain.office import office_and_role
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.store.groups import GroupRepository
from scheduler.store.sessions import SessionRepository

#: Jobs answered where nobody says how many, and sessions read in one round trip.
LIMIT, _PAGE = 100, 500


class Store(Protocol):
    """What it reads."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def groups(self) -> GroupRepository: ...


class DependencyResolver:
    """Reads only: that a job becomes READY when its last dependency is met is the leader's doing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get_ready_jobs(self, office: str, *, limit: int = LIMIT) -> list[SessionData]:
        """Jobs of an office that wait for nothing but their turn, in its order by scaling group.

        Raises StoreUnavailable.
        """
        return list(islice(self._ready(office), limit))

    def _ready(self, office: str) -> Iterator[SessionData]:
        for group in self._store.groups.names():
            for data in self._store.sessions.pages(group, SessionState.READY, _PAGE):
                if office_and_role(data.request.scopes)[0] == office:
                    yield data

    @staticmethod
    def detect_cycle(jobs: Iterable[Node]) -> list[str]:
        """A cycle as a path (a needs b needs a), or []."""
        return detect_cycle(jobs)

    @staticmethod
    def get_execution_order(jobs: Iterable[Node]) -> list[list[str]]:
        """Names in groups that may run in parallel, one group after the other. Raises InvalidGraph on a cycle."""
        return execution_order(jobs)
