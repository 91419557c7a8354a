"""READY sessions as a leader reads them: as little as the cycle needs, and what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import redis

from scheduler.domain.records import record
from scheduler.domain.request import lost_request
from scheduler.domain.states import SessionState
from scheduler.store.attempts import failed_on
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.reading import read_fields
from scheduler.store.rows import session_from_row

_FIELDS: Final = (
    "state",
    "request",
    "priority",
    "seq",
    "attempt",
    "digest",
    "name",
    "retries_from",
    "rescues",
    "submitted_at",
    "ready_at",
    "own_timeout_ms",
)


@record
class Waiting:
    """One READY session, as little as the cycle needs of it."""

    id: str
    request: str
    priority: int
    seq: int
    attempt: int
    digest: str
    name: str
    retries_from: int
    rescues: int
    failed_on: tuple[str, ...] = ()  #: agents of its last attempts, none of which went well
    waiting_since: int = 0  #: ms of Redis' clock
    own_timeout_ms: int | None = None


def read_waiting(client: redis.Redis, keys: Keys, ids: Sequence[str]) -> list[Waiting]:
    """The READY ones among the given sessions; those whose record makes no sense left out."""
    rows = read_fields(client, keys, ids, _FIELDS)
    found = [w for s, row in zip(ids, rows, strict=True) if row and (w := _waiting(s, row))]
    avoided = failed_on(client, keys, {w.id: w.attempt for w in found if w.attempt})
    if not avoided:
        return found
    return [replace(w, failed_on=avoided[w.id]) if w.id in avoided else w for w in found]


def _waiting(session: str, row: Sequence[str | None]) -> Waiting | None:
    state, request, priority, seq, attempt, digest, name, *counts, since, ready_at, timeout = row
    if state != SessionState.READY or request is None or digest is None:
        return None
    try:
        numbers = [int(number or 0) for number in (attempt, *counts)]
        return Waiting(
            id=session,
            request=request,
            priority=int(priority or ""),
            seq=int(seq or ""),
            attempt=numbers[0],
            digest=digest,
            name=name or "",
            retries_from=numbers[1],
            rescues=numbers[2],
            waiting_since=int(ready_at or since or 0),
            own_timeout_ms=int(timeout) if timeout else None,
        )
    except ValueError:
        return None


def read_spoilt(client: redis.Redis, keys: Keys, group: str, ids: Sequence[str]) -> dict[str, str]:
    """What is wrong with the records of those that are listed as READY and cannot be read.

    "" where the record is gone, or says nothing of where it stands, so that no move can end it.
    """
    with speaking_to(client), client.pipeline(transaction=True) as pipe:
        for session in ids:
            pipe.zscore(keys.state(group, SessionState.READY), session)
            pipe.hgetall(keys.session(session))
        found = pipe.execute()
    spoilt: dict[str, str] = {}
    for session, score, row in zip(ids, found[::2], found[1::2], strict=True):
        data = session_from_row(session, row, lost_request(row.get("request", "")))
        if score is not None and data.unreadable:
            stands = data.state is SessionState.READY and data.group == group
            spoilt[session] = data.spoilt if stands else ""
    return spoilt
