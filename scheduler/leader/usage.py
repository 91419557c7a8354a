"""Reads what owners have used, for a scheduler that looks back on it."""

from __future__ import annotations

from scheduler.domain.share import DAY_MS, Usage, Used, add_use
from scheduler.domain.slots import by_family
from scheduler.leader.state import LeaderState, Repositories
from scheduler.store.use import UseFollower


class UsageReader:
    """Puts into the snapshot what is recorded, and as far as it got what runs."""

    def __init__(self, state: LeaderState, repositories: Repositories) -> None:
        self._state = state
        self._leader = repositories.leader
        self._recorded = UseFollower(repositories.use, repositories.leader.term.group)

    def read(self, days: int) -> None:
        """Read so many days, today included; with 0, nothing.

        Must not be called while a batch is under way: a kernel would be in both, or in neither.
        """
        if not days:
            self._state.snapshot.usage = None
            return
        now = self._leader.now_ms()
        recorded = self._recorded.read(now // DAY_MS, days)
        running: dict[int, Used] = {}
        for session in self._state.board:
            for kernel in session.kernels:
                if kernel.live:
                    slots = by_family(kernel.slots)
                    add_use(running, session.request.owner, slots, session.placed_at, now)
        self._state.snapshot.usage = Usage(now, recorded, running)
