"""Changing how long a session may run."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.spec import duration_ms
from scheduler.operations.jobs import ChangeStore, at_revision
from scheduler.store.timeouts import TimeoutRepository


class Store(ChangeStore, Protocol):
    """Where timeouts are."""

    @property
    def timeouts(self) -> TimeoutRepository: ...


def change_timeout(
    store: Store,
    session: str,
    timeout: str | float | timedelta | None,
    *,
    expected: str | None = None,
) -> str:
    """Let a session run for so long, counted from its start; None: as it asked for.

    ``set``, or ``already`` where nothing changed. Raises InvalidSetting, SessionNotFound, WrongState,
    and where it is not at the revision ``expected`` SessionRevisionConflict.
    """
    try:
        milliseconds = None if timeout is None else duration_ms(timeout, "it")
    except InvalidSpec as error:
        # Nothing is submitted here.
        raise InvalidSetting(name="timeout", problem=error.facts["problem"]) from error
    return at_revision(
        store, session, expected, lambda seen: store.timeouts.set(session, milliseconds, seen=seen)
    )
