"""The repository of sessions: what apps and operators may do with them, and how they are read."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NoReturn, cast

import redis

from scheduler.domain.clock import Clock
from scheduler.domain.errors import (
    DependencyNotFound,
    InvalidInput,
    NotHeld,
    OfficeNotFound,
    RecordSpoilt,
    ScriptError,
    SessionNotFound,
    SessionRevisionConflict,
    WrongState,
)
from scheduler.domain.ids import SessionId, new_nonce
from scheduler.domain.request import Request, lost_request, parse_request_text
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec, check_priority
from scheduler.domain.states import FINAL, SESSION_LIFE, SessionState
from scheduler.store import precheck, submission
from scheduler.store.connection import of_its_type, speaking_to
from scheduler.store.keys import Keys
from scheduler.store.offices import OfficeRepository
from scheduler.store.payloads import read_json
from scheduler.store.reading import read_fields
from scheduler.store.refusals import refused
from scheduler.store.rows import SessionRow, session_from_row
from scheduler.store.scopes import over_pending
from scheduler.store.script import Script
from scheduler.store.submission import PARENT_BATCH, Checked

_DEPEND = Script.load("session/depend")
_CANCEL = Script.load("session/cancel")
_PRIORITY = Script.load("session/priority")
_RETRY = Script.load("session/retry")
_RELINK = Script.load("session/relink")
_RELEASE = Script.load("session/release")
_LOOK = Script.load("session/look")


#: For a key that is no hash: a record none of whose fields can be read.
_NO_HASH: Mapping[str, str] = MappingProxyType({"state": "", "group": ""})


class SessionRepository:
    """Sessions of one namespace. All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, keys: Keys, clock: Clock) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._offices = OfficeRepository(client, keys)

    def submit(self, specs: Sequence[SessionSpec], *, within: str = "") -> list[SessionId]:
        """Write sessions, in batches of 200: each batch wholly or not at all.

        All that can be refused is looked up for all specs before the first batch is sent. What
        becomes wrong between that and its own batch (a group is deleted, a parent forgotten, an agent
        removed, memory runs short) is refused with its batch: those ahead of it are written then,
        none behind it is. A repeat with the same idempotency keys answers the sessions that have
        them. ``within`` is the office whose jobs all dependencies must be: what is another's is not
        known then. Raises InvalidSpec, InvalidSlots, GroupNotFound, IdempotencyConflict,
        DependencyNotFound, OfficeNotFound, Unsatisfiable, PendingLimitReached, RedisFull.
        """
        checked = [Checked.of(spec, within) for spec in specs]
        found: list[SessionId] = []
        with speaking_to(self._client):
            if not precheck.takes_one_script(checked):
                refusal = precheck.refusal(self._client, self._keys, checked)
                if refusal:
                    self._accepted(checked, refusal.answer)
            for batch, answer in submission.write(
                self._client, self._keys.root, checked, self._clock
            ):
                found += self._accepted(batch, answer)
        return found

    def _accepted(self, batch: Sequence[Checked], answer: Sequence[Any]) -> list[SessionId]:
        word, *rest = answer
        if word != "submitted":
            raise refused(self._client, self._keys, batch, answer)
        for session, checked in zip(rest, batch, strict=True):
            if len(checked.parents) > PARENT_BATCH:
                self._load_parents(session, checked.edges[PARENT_BATCH:])
        return rest

    def _load_parents(self, session: str, parents: Sequence[str]) -> None:
        for start in range(0, len(parents), PARENT_BATCH):
            with speaking_to(self._client):
                word, *rest = _DEPEND(
                    self._client,
                    self._keys.root,
                    session=session,
                    parents=parents[start : start + PARENT_BATCH],
                    last=int(start + PARENT_BATCH >= len(parents)),
                )
            if word == "no_parent":
                # Forgotten since all were looked up: what was written so far must not wait for ever
                # for a seal that never comes.
                self.cancel(session, f"its dependency {rest[0]} is not known here")
                raise DependencyNotFound(session=rest[0])

    def look(self, session: str) -> tuple[SessionData, str]:
        """One session, and what `seen` is of a change that is made only where it is still like that.

        Raises SessionNotFound.
        """
        with speaking_to(self._client):
            word, *rest = _LOOK(self._client, self._keys.root, session=session)
        if word == "gone":
            raise SessionNotFound(session=session)
        digest, row = rest
        fields = dict(zip(row[::2], row[1::2], strict=True))
        return self.read({session: fields})[session], f"{digest} {new_nonce()}"

    def cancel(
        self, session: str, reason: str = "cancelled by its owner", *, seen: str = ""
    ) -> str:
        """Cancel; ``cancelled`` at once, ``accepted`` where the leader must stop it first, or ``ended``.

        Raises SessionNotFound, RecordSpoilt, with ``seen`` of `look` SessionRevisionConflict.
        """
        with self._blaming_the_record(session), speaking_to(self._client):
            word = _CANCEL(
                self._client, self._keys.root, session=session, reason=reason, seen=seen
            )[0]
        refuse_changed(session, word)
        return str(word)

    def retry(self, session: str, *, with_dependents: int = 0, seen: str = "") -> list[SessionId]:
        """Run an ended session again; with dependents, also all below it that was cancelled because it failed.

        The ids of all. Where a scope lets no more sessions wait, dependents that were to be taken along
        stay cancelled.
        Raises SessionNotFound, WrongState, OfficeNotFound, PendingLimitReached, RecordSpoilt, with
        ``seen`` of `look` SessionRevisionConflict.
        """
        token, taken, parents = new_nonce(), dict.fromkeys([session]), deque([session])
        # Level by level: who is asked before all its parents were is cancelled again by one that was not,
        # and taken along with that one.
        while parents:
            with self._blaming_the_record(parents[0]), speaking_to(self._client):
                word, *rest = _RETRY(
                    self._client,
                    self._keys.root,
                    session=parents[0],
                    token=token,
                    with_dependents=with_dependents,
                    seen=seen,
                )
            if word != "retried":
                self._refuse_retry(parents[0], word, rest)
            left, *again = rest
            parent = parents.popleft() if int(left) == 0 else parents[0]
            for session_id, cursor, below in (each.split(" ") for each in again):
                taken |= {session_id: None}
                self._relink(session_id, cursor)
                if session_id != parent and with_dependents and int(below):
                    parents.append(session_id)
        return [SessionId(each) for each in taken]

    def _refuse_retry(self, session: str, word: str, rest: Sequence[str]) -> NoReturn:
        refuse_changed(session, word)
        if word == "unknown_office":
            raise OfficeNotFound(office=rest[0])
        if word == "over_pending":
            request = self.requests({rest[0]}).get(rest[0]) or lost_request(rest[0])
            raise over_pending(rest, request.families)
        edge = next(edge for edge in SESSION_LIFE if edge.verb == "retry")
        raise WrongState(
            session=session, state=rest[0], verb="retry", allowed=", ".join(sorted(edge.sources))
        )

    def _relink(self, session: str, cursor: str) -> None:
        """Wait again for the dependencies that did not fit; the leader's sweep would do it, too."""
        while cursor not in ("", "0"):
            with speaking_to(self._client):
                answer = _RELINK(self._client, self._keys.root, session=session, cursor=cursor)
            cursor = answer[1] if answer[0] == "linked" else ""

    def release(self, session: str) -> int:
        """Let a session go on without the dependencies that hold it; how many those were.

        Raises SessionNotFound, WrongState, NotHeld.
        """
        parents = [p for p, edge in self.parents(session).items() if edge.startswith("held")]
        count = 0
        for some in [
            parents[i : i + PARENT_BATCH] for i in range(0, len(parents), PARENT_BATCH)
        ] or [[]]:
            with self._blaming_the_record(session), speaking_to(self._client):
                word, *rest = _RELEASE(self._client, self._keys.root, session=session, parents=some)
            if word == "gone":
                raise SessionNotFound(session=session)
            if word == "wrong_state":
                raise WrongState(
                    session=session,
                    state=rest[0],
                    verb="release",
                    allowed=str(SessionState.PENDING),
                )
            count += int(rest[0])
        if not count:
            raise NotHeld(session=session)
        return count

    def set_priority(self, session: str, priority: int, *, seen: str = "") -> None:
        """Another priority, 0 to 100: of what waits at once, of what is placed should it wait again.

        Raises InvalidSetting, SessionNotFound, WrongState, RecordSpoilt, with ``seen`` of `look`
        SessionRevisionConflict.
        """
        check_priority(priority)
        with self._blaming_the_record(session), speaking_to(self._client):
            word, *rest = _PRIORITY(
                self._client, self._keys.root, session=session, priority=priority, seen=seen
            )
        refuse_changed(session, word)
        if word == "wrong_state":
            allowed = ", ".join(sorted({*SessionState}.difference(FINAL)))
            raise WrongState(
                session=session, state=rest[0], verb="another priority", allowed=allowed
            )

    @contextmanager
    def _blaming_the_record(self, session: str) -> Iterator[None]:
        """A script that breaks on a record which makes no sense is no defect of ours."""
        try:
            yield
        except ScriptError as error:
            data = self.many([session])
            if not data or not data[0].unreadable:
                raise
            raise RecordSpoilt(session=session, what=data[0].spoilt) from error

    def get(self, session: str) -> SessionData:
        """One session. Raises SessionNotFound."""
        found = self.many([session])
        if not found:
            raise SessionNotFound(session=session)
        return found[0]

    def many(self, sessions: Iterable[str]) -> list[SessionData]:
        """Those of the given sessions that exist, in the given order; two round trips.

        One whose request is gone is among them, with `lost_request` in its place.
        """
        ids = list(sessions)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for session in ids:
                pipe.hgetall(self._keys.session(session))
            rows = of_its_type(pipe.execute(raise_on_error=False), _NO_HASH)
        return list(self.read(dict(zip(ids, rows, strict=True))).values())

    def read(self, rows: Mapping[str, SessionRow]) -> dict[str, SessionData]:
        """Records as sessions, those without a record left out; one round trip for what they asked."""
        named = {session: row.get("request", "") for session, row in rows.items() if row}
        requests = self.requests(set(named.values()))
        return {
            session: session_from_row(
                session, rows[session], requests.get(request) or lost_request(request)
            )
            for session, request in named.items()
        }

    def requests(self, ids: Iterable[str]) -> dict[str, Request]:
        """Requests by id; those that are gone, or are no request any more, are left out.

        What jobs inherit is as their offices say it now, which is one more round trip.
        """
        wanted = list(ids)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for request in wanted:
                pipe.hget(self._keys.request(request), "text")
            texts = pipe.execute()
        found = {key: _request(text) for key, text in zip(wanted, texts, strict=True) if text}
        return self._under_offices({key: request for key, request in found.items() if request})

    def _under_offices(self, requests: dict[str, Request]) -> dict[str, Request]:
        jobs = {key: r.office for key, r in requests.items() if r.inherits}
        offices = self._offices.many(jobs.values())
        completed = {
            key: requests[key].under(offices[office].config)
            for key, office in jobs.items()
            if office in offices
        }
        return requests | completed

    def list_ids(
        self, group: str, state: SessionState, *, limit: int, newest_first: bool = True
    ) -> list[str]:
        """Ids in one state of one group: READY by priority and submission, others by time."""
        key = self._keys.state(group, state)
        with speaking_to(self._client):
            if state is SessionState.READY or not newest_first:
                return cast("list[str]", self._client.zrange(key, 0, limit - 1))
            return cast("list[str]", self._client.zrevrange(key, 0, limit - 1))

    def names(self, sessions: Sequence[str]) -> dict[str, str]:
        """The names of sessions, "" of those that have none, or of which there is none."""
        rows = read_fields(self._client, self._keys, sessions, ["name"])
        names = [row[0] if row else None for row in rows]
        return {s: name or "" for s, name in zip(sessions, names, strict=True)}

    def counts(self, group: str) -> dict[SessionState, int]:
        """How many sessions of a group are in each state."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for state in SessionState:
                pipe.zcard(self._keys.state(group, state))
            return dict(zip(SessionState, pipe.execute(), strict=True))

    def parents(self, session: str) -> dict[str, str]:
        """Dependency -> unmet, met or held, followed by its policy where that is not cancel."""
        with speaking_to(self._client):
            return cast("dict[str, str]", self._client.hgetall(self._keys.parents(session)))

    def result(self, session: str) -> Any:
        """What the main kernel returned, or None. Raises RecordSpoilt."""
        return read_json(self._client, self._keys.result(session), session, "result")

    def payload(self, session: str) -> dict[str, Any]:
        """The work it was asked to do; {} when it is forgotten. Raises RecordSpoilt."""
        found = read_json(self._client, self._keys.payload(session), session, "payload")
        return cast("dict[str, Any]", found or {})

    def verdict(self, group: str, request: str) -> dict[str, Any] | None:
        """The leader's last refusal of this kind of request."""
        with speaking_to(self._client):
            text = self._client.hget(self._keys.verdicts(group), request)
        return json.loads(cast("str", text)) if text else None

    def redis_time_ms(self) -> int:
        """The only clock that decides."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def groups(self) -> list[str]:
        """Names of the scaling groups."""
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.groups())))

    def wait(self, session: str, timeout: float) -> SessionData:
        """Until the session has ended or the time (s) is over; the session as it is then.

        Raises SessionNotFound. Told by pub/sub, with a look of its own each second in case the
        message was lost with a connection.
        """
        deadline = self._clock.monotonic() + timeout
        with speaking_to(self._client), cast("Any", self._client).pubsub() as channel:
            channel.subscribe(self._keys.done(session))
            channel.get_message(timeout=1.0)
            data = self.get(session)
            while not data.ended and (left := deadline - self._clock.monotonic()) > 0:
                channel.get_message(timeout=min(left, 1.0))
                data = self.get(session)
        return data


def refuse_changed(session: str, word: str) -> None:
    """Raise SessionNotFound or SessionRevisionConflict where a script says so."""
    if word == "gone":
        raise SessionNotFound(session=session)
    if word == "conflict":
        raise SessionRevisionConflict(session=session, found="another", expected="the one seen")


def _request(text: str) -> Request | None:
    try:
        return parse_request_text(text)
    except (ValueError, TypeError, KeyError, RecursionError, InvalidInput):
        return None
