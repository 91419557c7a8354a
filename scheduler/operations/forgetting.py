"""Forgetting sessions that ended, with their logs: as the retention does it, and as a group is deleted."""

from __future__ import annotations

from typing import Final, Protocol

from scheduler.domain.states import FINAL
from scheduler.store.retention import RetentionRepository
from scheduler.store.sessions import SessionRepository

#: Sessions of each way to end that are forgotten in one step: some 5 ms in Redis.
_PER_STEP: Final = 100


class Store(Protocol):
    """What sessions are forgotten in."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def retention(self) -> RetentionRepository: ...


def forget_some(store: Store, group: str, before_ms: int) -> int:
    """Forget the oldest of each way to end, if they ended before a moment; how many it were.

    Those that others wait for are kept, and their logs with them.
    """
    forgotten = 0
    for state in FINAL:
        # Their records first: they tell where the logs are.
        old = store.retention.ended_before(group, state, before_ms, _PER_STEP)
        if old:
            data = store.sessions.many(old)
            gone = set(store.retention.forget(group, state, before_ms, _PER_STEP))
            store.retention.delete_logs([each for each in data if each.id in gone])
            forgotten += len(gone)
    return forgotten
