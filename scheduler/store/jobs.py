"""The repository of jobs: the lists that scripts keep of an office's sessions, by state and by role."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, cast

import redis

from scheduler.domain.errors import OfficeNotFound, WrongState
from scheduler.domain.office import check_known
from scheduler.domain.request import Request
from scheduler.domain.session import SessionData
from scheduler.domain.states import PLACED, SESSION_LIFE, WAITING, SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.offices import OfficeRepository
from scheduler.store.scopes import over_pending
from scheduler.store.script import Script
from scheduler.store.sessions import refuse_changed
from scheduler.store.submission import kind_of

_BEFORE = Script.load("office/submitted_before")
_HANDOFF = Script.load("session/handoff")


class JobRepository:
    """Jobs of one namespace. All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def newest(  # noqa: PLR0913 - one place of lists that are many
        self,
        office: str,
        role: str,
        states: Sequence[SessionState],
        before: int | None,
        limit: int,
        after: int = 0,
    ) -> list[tuple[str, int]]:
        """(id, number) of jobs in these states, last submitted first, of numbers between both.

        A role of "" is any. All lists are read in one step, ``limit`` of each at most, so that a job
        that moves is met once.
        """
        below = "+inf" if before is None else f"({before}"
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for state in states:
                key = self._key(office, role, state)
                pipe.zrevrangebyscore(key, below, f"({after}", 0, limit, withscores=True)
            found = cast("list[list[tuple[str, float]]]", pipe.execute())
        merged = heapq.merge(*found, key=lambda entry: -entry[1])
        return [(job, int(number)) for job, number in list(merged)[:limit]]

    def submitted_before(
        self, office: str, role: str, states: Sequence[SessionState], times: Sequence[int]
    ) -> list[int]:
        """Of jobs in these states the number of the last submitted before each time (ms); 0 where none was."""
        with speaking_to(self._client):
            _, *numbers = _BEFORE(
                self._client,
                self._keys.root,
                office=office,
                role=role,
                states=list(map(str, states)),
                times=list(times),
            )
        return [int(number) for number in numbers]

    def oldest(self, office: str, states: Sequence[SessionState]) -> list[str]:
        """Of each of these states the job that was submitted first."""
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for state in states:
                pipe.zrange(self._keys.jobs(office, state), 0, 0)
            return [job for first in pipe.execute() for job in first]

    def counts(self, office: str, role: str = "") -> dict[SessionState, int]:
        """How many jobs of an office, or of one role of it, are in each state."""
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for state in SessionState:
                pipe.zcard(self._key(office, role, state))
            found: list[Any] = pipe.execute()
        return dict(zip(SessionState, found, strict=True))

    def handoff(self, data: SessionData, to: Request, seen: str = "") -> str:
        """Give a job that is not placed another request, whose role is another; what was answered.

        ``changed`` where its request is another one by now. Raises SessionNotFound, WrongState,
        OfficeNotFound, InvalidSetting for a role that its office does not have, PendingLimitReached,
        with ``seen`` of `SessionRepository.look` SessionRevisionConflict.
        """
        with speaking_to(self._client):
            word, *rest = _HANDOFF(
                self._client,
                self._keys.root,
                **{"session": data.id, "from": data.request.id, "to": to.id},
                **{"with": kind_of(to.text), "seen": seen},
            )
        refuse_changed(data.id, word)
        match word:
            case "unknown_office":
                raise OfficeNotFound(office=rest[0])
            case "unknown_role":
                check_known(OfficeRepository(self._client, self._keys).read(rest[0]), rest[1])
            case "over_pending":
                raise over_pending(rest, to.families)
            case "wrong_state":
                raise _not_to_be_handed_over(data.id, rest[0])
            case _:
                pass
        return str(word)

    def _key(self, office: str, role: str, state: SessionState) -> str:
        if role:
            return self._keys.jobs_of_role(office, role, state)
        return self._keys.jobs(office, state)


def _not_to_be_handed_over(job: str, state: str) -> WrongState:
    edge = next(edge for edge in SESSION_LIFE if edge.verb == "retry")
    allowed = ", ".join(sorted({*WAITING, *edge.sources}))
    if state in PLACED:
        allowed += "; cancel it, hand it over, and retry it"
    return WrongState(session=job, state=state, verb="handoff", allowed=allowed)
