"""What an office does with its jobs: list them, read their tries, steer them."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.domain.errors import InvalidSetting, SessionNotFound
from scheduler.domain.ids import shown
from scheduler.domain.job import JobExecution, executions_of
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.store.jobs import JobRepository
from scheduler.store.sessions import SessionRepository

#: Jobs of one page, at most.
LARGEST_PAGE: Final = 1_000


class Store(Protocol):
    """The repositories that are needed."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def jobs(self) -> JobRepository: ...


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some of an office's jobs, the last submitted first."""

    items: list[SessionData]
    cursor: str | None  #: asks for the next page; None where there is none


def list_jobs(  # noqa: PLR0913 - each of them is what a page may be asked by
    store: Store,
    office: str,
    state: SessionState | None = None,
    role: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> JobPage:
    """A page of an office's jobs, the last submitted first; of one state and one role, where given.

    ``limit`` is 1 to 1,000. Costs what the page holds, however many jobs there are. A job's place is
    by its submission, so that pages neither skip nor repeat one that moves meanwhile; with a state, a
    page lacks who left it while it was read. Raises InvalidSetting for a cursor or limit that is none.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        problem = f"it must be a whole number from 1 to {LARGEST_PAGE}, got {shown(limit)}"
        raise InvalidSetting(name="limit", problem=problem)
    before = None if cursor is None else _number(cursor)
    states = tuple(SessionState) if state is None else (state,)
    found = store.jobs.newest(office, role or "", states, before, limit)
    items = store.sessions.many(job for job, _ in found)
    return JobPage(
        items=[data for data in items if state is None or data.state is state],
        cursor=_cursor(found[-1][1]) if len(found) == limit else None,
    )


def _cursor(number: int) -> str:
    return urlsafe_b64encode(f"before {number}".encode()).decode().rstrip("=")


def _number(cursor: str) -> int:
    try:
        text = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        word, number = text.split(" ")
        if word == "before" and number.isdecimal() and number.isascii():
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise InvalidSetting(
        name="cursor", problem=f"{shown(cursor)} is not one that a page of jobs ended with"
    )


def job_of(store: Store, office: str, job: str) -> SessionData:
    """A job of an office. Raises SessionNotFound, also where it is another's or nobody's."""
    data = store.sessions.get(job)
    if not office or data.office != office:
        raise SessionNotFound(session=job)
    return data


def executions(store: Store, office: str, job: str) -> list[JobExecution]:
    """The tries to run a job, oldest first. Raises SessionNotFound."""
    return executions_of(job_of(store, office, job))
