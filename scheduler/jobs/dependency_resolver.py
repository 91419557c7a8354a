"""DependencyResolver: which jobs of an office may run, and in which order jobs can (seed 002)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest

from scheduler.domain.graph import Node, detect_cycle, execution_order
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.operations.jobs import LARGEST_PAGE, Store, list_jobs

#: Jobs answered where nobody says how many.
LIMIT = 100


class DependencyResolver:
    """Reads only: that a job becomes READY when its last dependency is met is the leader's doing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get_ready_jobs(self, office: str, *, limit: int = LIMIT) -> list[SessionData]:
        """Jobs of an office that wait for nothing but their turn, by priority, then age.

        Reads all that the office has READY, a page at a time, and keeps ``limit``. Raises StoreUnavailable.
        """
        return nsmallest(limit, self._ready(office), key=lambda job: (-job.priority, job.seq))

    def _ready(self, office: str) -> Iterator[SessionData]:
        cursor: str | None = None
        while True:
            page = list_jobs(
                self._store, office, SessionState.READY, cursor=cursor, limit=LARGEST_PAGE
            )
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    @staticmethod
    def detect_cycle(jobs: Iterable[Node]) -> list[str]:
        """A cycle as a path (a needs b needs a), or []."""
        return detect_cycle(jobs)

    @staticmethod
    def get_execution_order(jobs: Iterable[Node]) -> list[list[str]]:
        """Names in groups that may run in parallel, one group after the other. Raises InvalidGraph on a cycle."""
        return execution_order(jobs)
