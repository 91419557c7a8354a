"""Doing one thing to many sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from scheduler.domain.errors import SessionNotFound
from scheduler.domain.states import PLACED, WAITING
from scheduler.store.audit import AuditRepository
from scheduler.store.sessions import SessionRepository


def cancel_all(
    sessions: SessionRepository, audit: AuditRepository, groups: Iterable[str]
) -> Counter[str]:
    """Cancel what has not ended; how often each word of ``cancel`` was the answer.

    What waits comes first, or the room that is freed would be given to it. Page by page; what is
    submitted meanwhile may or may not be cancelled.
    """
    answers: Counter[str] = Counter()
    for group in groups:
        for state in WAITING:
            start = 0
            while ids := audit.ids(group, state, start):
                words = [_cancel(sessions, session) for session in ids]
                answers.update(words)
                # What was cancelled has left the index; the next page begins where this one did.
                start += 0 if "cancelled" in words else len(ids)
        answers.update(_cancel(sessions, session) for session in placed_ids(audit, group))
    return answers


def placed_ids(audit: AuditRepository, group: str) -> list[str]:
    """Ids of what is placed now: as many as the group's agents hold."""
    found: list[str] = []
    for state in PLACED:
        start = 0
        while ids := audit.ids(group, state, start):
            found += ids
            start += len(ids)
    return found


def _cancel(sessions: SessionRepository, session: str) -> str:
    try:
        return sessions.cancel(session)
    except SessionNotFound:
        return "ended"
