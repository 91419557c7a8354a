"""Changing how long a session may run."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from scheduler.domain.spec import duration_ms
from scheduler.store.timeouts import TimeoutRepository


class Store(Protocol):
    """Where timeouts are."""

    @property
    def timeouts(self) -> TimeoutRepository: ...


def change_timeout(store: Store, session: str, timeout: str | float | timedelta | None) -> str:
    """Let a session run for so long, counted from its start; None: as it asked for.

    ``set``, or ``already`` where nothing changed. Raises InvalidSpec, SessionNotFound, WrongState.
    """
    milliseconds = None if timeout is None else duration_ms(timeout, "timeout")
    return store.timeouts.set(session, milliseconds)
