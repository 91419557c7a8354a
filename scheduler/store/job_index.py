"""Whether every job is listed where it belongs, worked out from the sessions themselves; and put right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.job import job_text
from scheduler.domain.request import parse_request_text
from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

PAGE: Final = 500
_BATCH: Final = 100
_STATES: Final = frozenset(map(str, SessionState))
_LIST_JOBS = Script.load("schema/list_jobs")


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A job that is not listed where it belongs, or what is listed and is no such job."""

    session: str
    job: str  #: "office" or "office/role"
    stray: bool
    says: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A page of what was looked at."""

    sessions: int
    misplaced: Sequence[Misplaced]


class JobIndex:
    """The lists of jobs of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._jobs: dict[str, str] = {}  #: by request, whose jobs its sessions are

    def sessions(self) -> int:
        """How many sessions there are to look at."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for group in self._groups():
                for state in SessionState:
                    pipe.zcard(self._keys.state(group, state))
            return sum(pipe.execute())

    def look(self) -> Iterator[Looked]:
        """All sessions and all lists, in pages; what is compared is read in one step."""
        for group in self._groups():
            for state in SessionState:
                key, start = self._keys.state(group, state), 0
                while ids := self._page(key, start):
                    start += len(ids)
                    yield Looked(len(ids), self._unlisted(ids))
        with speaking_to(self._client):
            lists = sorted(
                cast("Any", self._client).scan_iter(self._keys.jobs("*", "*"), count=1000)
            )
        for key in lists:
            start = 0
            while ids := self._page(key, start):
                start += len(ids)
                yield Looked(0, self._strays(key, ids))

    def put_right(
        self, misplaced: Sequence[Misplaced], version: int, *, guarded: bool
    ) -> list[str]:
        """List them where they belong: ``listed``, or what forbids it where older programs must be gone."""
        for start in range(0, len(misplaced), _BATCH):
            with speaking_to(self._client):
                answer = _LIST_JOBS(
                    self._client,
                    self._keys.root,
                    version=version,
                    guarded=int(guarded),
                    jobs=[
                        {"session": each.session, "job": each.job, "stray": int(each.stray)}
                        for each in misplaced[start : start + _BATCH]
                    ],
                )
            if answer[0] != "listed":
                return answer
        return ["listed"]

    def _groups(self) -> list[str]:
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.groups())))

    def _page(self, key: str, start: int) -> list[str]:
        with speaking_to(self._client):
            return cast("list[str]", self._client.zrange(key, start, start + PAGE - 1))

    def _unlisted(self, ids: Sequence[str]) -> list[Misplaced]:
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for session in ids:
                pipe.hmget(self._keys.session(session), "state", "request", "job")
            rows = dict(zip(ids, pipe.execute(), strict=True))
        self._learn({request or "" for _, request, _ in rows.values()})
        jobs = {
            session: (state, job or self._jobs[request or ""])
            for session, (state, request, job) in rows.items()
            if state in _STATES and (job or self._jobs[request or ""])
        }
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for session, (state, job) in jobs.items():
                pipe.hmget(self._keys.session(session), "state", "job", "seq")
                for key in self._lists(job, state):
                    pipe.zscore(key, session)
            found = iter(pipe.execute())
        return [
            Misplaced(session, job, False, f"job {session} of {job} is not listed as {state}")  # noqa: FBT003 - a field
            for session, (state, job) in jobs.items()
            if _is_unlisted(next(found), [next(found) for _ in self._lists(job, state)], state, job)
        ]

    def _strays(self, key: str, ids: Sequence[str]) -> list[Misplaced]:
        name, among = "([^:]+)", "([A-Z_]+)"
        of_office, of_role = (
            self._keys.jobs(name, among),
            self._keys.jobs_of_role(name, name, among),
        )
        named = re.fullmatch(of_office, key) or re.fullmatch(of_role, key)
        if named is None:
            return []  # not a list of ours, though it begins like one
        *owner, state = named.groups()
        job = "/".join(owner)
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for session in ids:
                pipe.zscore(key, session)
                pipe.hmget(self._keys.session(session), "state", "job")
            found = pipe.execute()
        return [
            Misplaced(session, job, True, f"{session} is listed as {state} of {job} and is not")  # noqa: FBT003 - a field
            for session, score, row in zip(ids, found[::2], found[1::2], strict=True)
            if score is not None and (row[0] != state or not _belongs(row[1], job))
        ]

    def _lists(self, job: str, state: str) -> list[str]:
        office, _, role = job.partition("/")
        lists = [self._keys.jobs(office, state)]
        return [*lists, self._keys.jobs_of_role(office, role, state)] if role else lists

    def _learn(self, requests: set[str]) -> None:
        unknown = sorted(requests - self._jobs.keys())
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for request in unknown:
                pipe.hget(self._keys.request(request), "text")
            texts = pipe.execute()
        self._jobs.update(
            {request: _job_of(text) for request, text in zip(unknown, texts, strict=True)}
        )


def _belongs(job: str | None, to: str) -> bool:
    return job is not None and to in (job, job.partition("/")[0])


def _is_unlisted(
    row: Sequence[str | None], scores: Sequence[float | None], state: str, job: str
) -> bool:
    if row[0] != state:
        return False  # it moved on; whoever moved it has listed it
    seq = row[2] or ""
    # Of a number that makes no sense nobody can tell where the job stands.
    wanted = {float(seq)} if seq.isascii() and seq.isdecimal() else {*scores}
    return row[1] != job or not {*scores} <= wanted - {None}


def _job_of(text: str | None) -> str:
    try:
        return job_text(parse_request_text(text or "").scopes)
    except (ValueError, TypeError, KeyError, RecursionError, InvalidSpec):
        return ""
