"""What an office does with its jobs: list them, read their tries, steer them."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol, TypeVar

from scheduler.domain.errors import (
    InvalidSetting,
    RecordSpoilt,
    SessionNotFound,
    SessionRevisionConflict,
)
from scheduler.domain.ids import SessionId, shown
from scheduler.domain.job import (
    AT_ANY_TIME,
    JobExecution,
    Period,
    executions_of,
    revision_of,
    with_role,
)
from scheduler.domain.office import check_known, office_scopes
from scheduler.domain.scope import Scope
from scheduler.domain.session import SessionData
from scheduler.domain.states import PLACED, WAITING, SessionState
from scheduler.domain.wanted import EVERYTHING, Wanted
from scheduler.operations.finding import BATCH, LOOKED_AT, select
from scheduler.store.jobs import JobRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.sessions import SessionRepository

T = TypeVar("T")

#: Jobs of one page, at most.
LARGEST_PAGE: Final = 1_000
#: Jobs of one of many offices that are read at once, at least.
_LEAST_AT_ONCE: Final = 20
#: What a page ended with: the number of its last job, opaque to whoever asks.
CURSOR: Final = "^[0-9]{1,15}$"


class ChangeStore(Protocol):
    """What a change of one job is made with."""

    @property
    def sessions(self) -> SessionRepository: ...


class Store(ChangeStore, Protocol):
    """The repositories that are needed."""

    @property
    def jobs(self) -> JobRepository: ...
    @property
    def offices(self) -> OfficeRepository: ...


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some of an office's jobs, the last submitted first."""

    items: list[SessionData]
    cursor: str | None  #: asks for the next page; None where there is none


def list_jobs(  # noqa: PLR0913 - each of them is what a page may be asked by
    store: Store,
    office: str | None,
    state: SessionState | None = None,
    role: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
    submitted: Period = AT_ANY_TIME,
    wanted: Wanted = EVERYTHING,
) -> JobPage:
    """A page of an office's jobs, the last submitted first; of one state and one role, where given.

    None is all offices. ``limit`` is 1 to 1,000. Costs what the page holds, however many jobs there are;
    of all offices a step per office, too; with ``wanted`` what it looks at, LOOKED_AT jobs at most, after
    which the next page goes on. A job's place is by its submission, so that pages neither skip nor repeat
    one that moves meanwhile; with a state, a page lacks who left it while it was read. Raises
    InvalidSetting for a cursor or limit that is none.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        problem = f"it must be a whole number from 1 to {LARGEST_PAGE}, got {shown(limit)}"
        raise InvalidSetting(name="limit", problem=problem)
    before = None if cursor is None else _number(cursor)
    states = wanted.states(() if state is None else (state,))
    batch, left = (limit, limit) if wanted == EVERYTHING else (BATCH, LOOKED_AT)
    offices = store.offices.names() if office is None else [office]
    at_once = max(batch // max(len(offices), 1), _LEAST_AT_ONCE)
    lists = [
        _walk(store, _List(each, role or "", states, submitted), before, min(batch, at_once))
        for each in offices
    ]
    walk = heapq.merge(*lists, key=lambda entry: -entry[1])
    items: list[SessionData] = []
    while left:
        found = list(islice(walk, batch))
        matching = select(store.sessions, [job for job, _ in found], wanted)
        for job, before in found:
            # Redis' clock may have been put back once: what a page holds is as it was asked for all the same.
            data = matching.get(job)
            if data and data.state in states and submitted.at(data.submitted_at):
                items.append(data)
            if len(items) == limit:
                return JobPage(items, str(before))
        if len(found) < batch:
            return JobPage(items, None)
        left -= batch
    return JobPage(items, str(before))


@dataclass(frozen=True, slots=True)
class _List:
    """What is read of one office."""

    office: str
    role: str
    states: Sequence[SessionState]
    submitted: Period


def _walk(store: Store, of: _List, before: int | None, at_once: int) -> Iterator[tuple[str, int]]:
    """(id, number) of jobs, the last submitted first, read as they are asked for."""
    after = 0
    if of.submitted != AT_ANY_TIME:
        times = (of.submitted.after, of.submitted.before)
        after, last = store.jobs.submitted_before(of.office, of.role, of.states, times)
        before = last + 1 if before is None else min(before, last + 1)
    while page := store.jobs.newest(of.office, of.role, of.states, before, at_once, after):
        yield from page
        if len(page) < at_once:
            return
        before = page[-1][1]


def _number(cursor: str) -> int:
    if re.fullmatch(CURSOR, cursor):
        return int(cursor)
    raise InvalidSetting(
        name="cursor", problem=f"{shown(cursor)} is not one that a page of jobs ended with"
    )


def job_of(store: Store, office: str, job: str) -> SessionData:
    """A job of an office. Raises SessionNotFound, also where it is another's or nobody's."""
    data = store.sessions.get(job)
    if not office or data.office != office:
        raise SessionNotFound(session=job)
    return data


def at_revision(
    store: ChangeStore, job: str, expected: str | None, change: Callable[[str], T]
) -> T:
    """Make a change that is written only where the job is at the revision ``expected``; None: anyhow.

    ``change`` is given what the store's methods take as ``seen``. Where something of the record moved
    that is not shown, it is tried once more. Raises SessionNotFound, SessionRevisionConflict.
    """
    while expected is not None:
        data, seen = store.sessions.look(job)
        if (found := revision_of(data)) != expected:
            raise SessionRevisionConflict(session=job, found=found, expected=expected)
        with suppress(SessionRevisionConflict):
            return change(seen)
    return change("")


def executions(store: Store, office: str, job: str) -> list[JobExecution]:
    """The tries to run a job, oldest first. Raises SessionNotFound."""
    return executions_of(job_of(store, office, job))


def set_priority(
    store: Store, office: str, job: str, priority: int, *, expected: str | None = None
) -> None:
    """Another priority, 0 to 100: of what waits at once, of what is placed should it wait again.

    Raises InvalidSetting, SessionNotFound, WrongState, SessionRevisionConflict.
    """
    found = job_of(store, office, job).id
    at_revision(
        store, found, expected, lambda seen: store.sessions.set_priority(found, priority, seen=seen)
    )


def handoff(store: Store, office: str, job: str, role: str, *, expected: str | None = None) -> None:
    """Give a job that waits, or that may be retried, another role of its office.

    What runs is not stopped for it. What it inherits of its office is that of its new role from then
    on. Raises SessionNotFound, WrongState, OfficeNotFound, SessionRevisionConflict,
    InvalidSetting for a role that the office does not have, PendingLimitReached, RecordSpoilt.
    """
    if not role:
        raise InvalidSetting(name="role", problem="a job is handed over to a role; name one")
    check_known(store.offices.read(office), role)
    scope = Scope("role", office_scopes(office, role)["role"])

    def hand(seen: str) -> str:
        data = job_of(store, office, job)
        if not data.request.known:
            raise RecordSpoilt(session=data.id, what="what it asked for is gone")
        return store.jobs.handoff(data, with_role(data.request, scope), seen)

    while at_revision(store, job, expected, hand) == "changed":
        pass  # somebody else handed it over since it was read


def cancel_job(
    store: Store, office: str, job: str, reason: str = "", *, expected: str | None = None
) -> str:
    """Cancel; ``cancelled`` now, ``accepted`` where it must be stopped first, or ``ended``.

    Raises SessionNotFound, RecordSpoilt, SessionRevisionConflict.
    """
    found, why = job_of(store, office, job).id, filter(None, [reason])
    return at_revision(
        store, found, expected, lambda seen: store.sessions.cancel(found, *why, seen=seen)
    )


def retry_job(
    store: Store,
    office: str,
    job: str,
    *,
    with_dependents: bool = False,
    expected: str | None = None,
) -> list[SessionId]:
    """Run an ended job again, and what was cancelled with it where asked; the ids of all.

    Raises SessionNotFound, WrongState, OfficeNotFound, PendingLimitReached, SessionRevisionConflict.
    """
    again, along = job_of(store, office, job).id, int(with_dependents)
    return at_revision(
        store,
        again,
        expected,
        lambda seen: store.sessions.retry(again, with_dependents=along, seen=seen),
    )


def cancel_all(
    store: Store, office: str, state: SessionState | None = None, role: str | None = None
) -> int:
    """Cancel an office's jobs, of one state and one role where given; how many were, or were asked to.

    Those that were there when it began: what is submitted meanwhile stays. What waits comes first, or
    the room that is freed would be given to it. Page by page; a repeat goes on where one was broken off.
    """
    rounds = [WAITING, (*PLACED, *WAITING)] if state is None else [(state,)]
    newest = store.jobs.newest(office, role or "", tuple(SessionState), None, 1)
    end = newest[0][1] + 1 if newest else 0
    cancelled: set[str] = set()
    for states in rounds:
        before = end
        while page := store.jobs.newest(office, role or "", states, before, LARGEST_PAGE):
            cancelled.update(job for job, _ in page if _cancel(store, job))
            before = page[-1][1]
    return len(cancelled)


def _cancel(store: Store, job: str) -> bool:
    try:
        return store.sessions.cancel(job) != "ended"
    except SessionNotFound:
        return False
