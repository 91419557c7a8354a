"""Reads what owners have used, for a scheduler that looks back on it."""

from __future__ import annotations

from scheduler.domain.share import DAY_MS, Usage, add_use
from scheduler.domain.slots import by_family
from scheduler.leader.state import LeaderState, Repositories


def read_usage(state: LeaderState, repositories: Repositories, days: int) -> None:
    """Put into the snapshot what was used on so many days, today included; with 0, nothing.

    What is recorded is of kernels that are over; those that hold slots are added as far as they got.
    Must not be called while a batch is under way: a kernel would be in both, or in neither.
    """
    if not days:
        state.snapshot.usage = None
        return
    now = repositories.leader.now_ms()
    used = repositories.use.read(repositories.leader.term.group, now // DAY_MS, days)
    for session in state.board:
        for kernel in session.kernels:
            if kernel.live:
                add_use(
                    used, session.request.owner, by_family(kernel.slots), session.placed_at, now
                )
    state.snapshot.usage = Usage(now, used)
