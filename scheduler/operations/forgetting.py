"""Forgetting sessions that ended, with their logs: as the retention does it, and as a group is deleted."""

from __future__ import annotations

from collections.abc import Iterator
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


def forget_ended(store: Store, group: str, before_ms: int) -> Iterator[int]:
    """Forget what ended before a moment, in steps, oldest first; after each step how many it forgot.

    Those that others wait for are kept, and their logs with them. They are stepped over: hundreds of
    them must not keep it from what ended after them.
    """
    kept = dict.fromkeys(FINAL, 0)
    while kept:
        forgotten = 0
        for state in list(kept):
            page = kept[state], _PER_STEP
            # Their records first: they tell where the logs are.
            old = store.retention.ended_before(group, state, before_ms, page)
            if not old:
                del kept[state]
                continue
            data = store.sessions.many(old)
            gone = set(store.retention.forget(group, state, before_ms, page))
            store.retention.delete_logs([each for each in data if each.id in gone])
            kept[state] += max(0, len(old) - len(gone))
            forgotten += len(gone)
        yield forgotten


def forget_some(store: Store, group: str, before_ms: int) -> int:
    """The first step of it that forgets any; how many it were, 0 where there are none to forget."""
    return next(filter(None, forget_ended(store, group, before_ms)), 0)
