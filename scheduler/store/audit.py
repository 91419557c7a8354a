"""Reads for the doctor and for metrics: in pages, facts together with what they must agree with.

Everything moves while it is read, so facts that are compared are read in one MULTI. What is then
found wrong is wrong, and not merely late.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, cast

import redis
from redis.exceptions import ResponseError

from scheduler.domain.scope import Scope
from scheduler.domain.states import PLACED, SessionState
from scheduler.store.connection import of_its_type, speaking_to
from scheduler.store.keys import Keys
from scheduler.store.rows import CHECKED, nonsense
from scheduler.store.script import LUA_ROOT, Script
from scheduler.store.waiting import read_waiting

PAGE = 500
#: READY is listed by (100 - priority) * RANK + seq; see lib/move.lua.
RANK = 2**43
T = TypeVar("T")
_UNLIST = Script.load("session/unlist")

_FIELDS = ("state", "group", "request", "priority", "seq")
_LOOKED_AT = (*_FIELDS, *CHECKED)


@dataclass(frozen=True, slots=True)
class Entry:
    """A session as an index and its record show it, read in one step."""

    id: str
    score: float | None  #: None: it is not listed there any more
    state: str  #: "" where there is no record
    group: str
    request: str
    priority: int
    seq: int
    unreadable: tuple[str, ...] = ()  #: fields of its record that make no sense


@dataclass(frozen=True, slots=True)
class AgentStep:
    """An agent's record, some sessions' records and what was placed lately, read in one step."""

    record: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]]
    placed_since: frozenset[str]


class AuditRepository:
    """Pages over one namespace, which only ``unlist`` changes. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def now_ms(self) -> int:
        """Redis' clock, which stamps beats, events and indexes."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def schema_version(self) -> int | None:
        """The layout's version, or None in a namespace nobody has stamped."""
        with speaking_to(self._client):
            found = cast("str | None", self._client.hget(self._keys.schema(), "version"))
        return int(found) if found else None

    def broken_scripts(self) -> dict[str, str]:
        """What Redis says of each script that it does not compile; {} is good."""
        broken = {}
        for name in script_names():
            script = Script.load(name)
            with speaking_to(self._client):
                try:
                    self._client.script_load(script.source)
                except ResponseError as error:
                    broken[name] = str(error)
        return broken

    def ids(self, group: str, state: SessionState, start: int, limit: int = PAGE) -> list[str]:
        """A page of an index, by place."""
        with speaking_to(self._client):
            return cast(
                "list[str]",
                self._client.zrange(self._keys.state(group, state), start, start + limit - 1),
            )

    def index(self, group: str, state: SessionState) -> Iterator[list[Entry]]:
        """All entries of an index, each page read in one step."""
        start = 0
        while ids := self.ids(group, state, start):
            yield self.entries(group, state, ids)
            start += len(ids)

    def unseen(self, group: str) -> Iterator[list[Entry]]:
        """Sessions of graphs that are not to be seen yet."""
        start = 0
        while ids := self._unseen(group, start):
            yield self.entries(group, SessionState.PENDING, ids)
            start += len(ids)

    def _unseen(self, group: str, start: int) -> list[str]:
        with speaking_to(self._client):
            found = self._client.zrange(self._keys.unseen(group), start, start + PAGE - 1)
        return cast("list[str]", found)

    def entries(self, group: str, state: SessionState, ids: Sequence[str]) -> list[Entry]:
        """Index and records of the given sessions, in one step."""
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for session in ids:
                pipe.zscore(self._keys.state(group, state), session)
                pipe.hmget(self._keys.session(session), _LOOKED_AT)
            # A key that is no hash is told as one without a record, and hides no other.
            nothing = [None] * len(_LOOKED_AT)
            found = of_its_type(pipe.execute(raise_on_error=False), nothing)
        return [
            _entry(session, score, row)
            for session, score, row in zip(ids, found[::2], found[1::2], strict=True)
        ]

    def agent_step(
        self, agent: str, group: str, sessions: Iterable[str], since_ms: int
    ) -> AgentStep:
        """An agent, sessions that may run on it, and what entered a placed state since a moment."""
        wanted = list(sessions)
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys.record(agent))
            for state in PLACED:
                pipe.zrangebyscore(self._keys.state(group, state), since_ms, "+inf")
            for session in wanted:
                pipe.hgetall(self._keys.session(session))
            record, *found = pipe.execute()
        lately, rows = found[: len(PLACED)], found[len(PLACED) :]
        return AgentStep(
            record,
            dict(zip(wanted, rows, strict=True)),
            frozenset(session for ids in lately for session in ids),
        )

    def membership(self, pairs: Sequence[tuple[str, Scope]]) -> list[tuple[str, bool]]:
        """Of each pair: the session's state ("" for none), and whether it holds the scope."""
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            for session, scope in pairs:
                pipe.hget(self._keys.session(session), "state")
                pipe.sismember(self._keys.scope_members(*scope), session)
            found = pipe.execute()
        return [
            (state or "", bool(held)) for state, held in zip(found[::2], found[1::2], strict=True)
        ]

    def members(self, scope: Scope) -> Iterator[list[str]]:
        """Sessions that hold a scope, in pages; one may come twice."""
        with speaking_to(self._client):
            found = cast("Any", self._client).sscan_iter(
                self._keys.scope_members(*scope), count=PAGE
            )
            yield from pages(found)

    def request_uses(self, requests: Iterable[str]) -> tuple[int, dict[str, int | None]]:
        """How many sessions were ever submitted, and how many each request counts; in one step."""
        wanted = list(requests)
        with speaking_to(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hget(self._keys.counters(), "submitted")
            for request in wanted:
                pipe.hget(self._keys.request(request), "uses")
            submitted, *uses = pipe.execute()
        return int(submitted or 0), {
            request: None if count is None else int(count)
            for request, count in zip(wanted, uses, strict=True)
        }

    def standings(self, group: str) -> Counter[tuple[str, bool]]:
        """How many agents of a group have each status, and whether they are drained."""
        found: Counter[tuple[str, bool]] = Counter()
        with speaking_to(self._client):
            agents = cast("set[str]", self._client.smembers(self._keys.group_agents(group)))
        for page in pages(sorted(agents)):
            with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
                for agent in page:
                    pipe.hmget(self._keys.record(agent), "status", "drained")
                found.update(
                    (status, drained == "1") for status, drained in pipe.execute() if status
                )
        return found

    def unlist(self, group: str, state: SessionState, sessions: Sequence[str]) -> list[str]:
        """Take sessions without a record off an index; those that were taken off."""
        with speaking_to(self._client):
            given = {"group": group, "state": str(state), "sessions": list(sessions)}
            return [str(each) for each in _UNLIST(self._client, self._keys.root, **given)[1:]]

    def refused_by(self, group: str, who: Iterable[str]) -> list[str]:
        """What some of those told that refuse sessions which wait; looks at a thousand kinds of request."""
        with speaking_to(self._client):
            found = cast("Any", self._client).hscan_iter(self._keys.verdicts(group), count=500)
            texts = [text for _, text in islice(found, 1_000)]
        failures = [failure for text in texts for failure in json.loads(text)["failures"]]
        return list(dict.fromkeys(f["reason"] for f in failures if f["by"] in who))

    def longest_ready_ms(self, group: str) -> int:
        """For how long the longest waiting one of those has been READY that are first of their priority."""
        key = self._keys.state(group, SessionState.READY)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for above in range(101):
                first, last = above * RANK, f"({(above + 1) * RANK}"
                pipe.zrangebyscore(key, first, last, start=0, num=1)
            heads = [session for found in pipe.execute() for session in found]
        since = [w.waiting_since for w in read_waiting(self._client, self._keys, heads)]
        return max(0, self.now_ms() - min(since)) if since else 0


def _entry(session: str, score: float | None, row: Sequence[str | None]) -> Entry:
    state, group, request, priority, seq, *_ = (text or "" for text in row)
    try:
        numbers = int(priority or 0), int(seq or 0)
    except ValueError:
        numbers = 0, 0
    fields = dict(zip(_LOOKED_AT, row, strict=True))
    unreadable = nonsense(fields) if any(text is not None for text in row) else ()
    return Entry(session, score, state, group, request, *numbers, unreadable)


def script_names() -> list[str]:
    """Every script that is run by name; lib and move are only included by others."""
    return sorted(
        path.relative_to(LUA_ROOT).with_suffix("").as_posix()
        for path in LUA_ROOT.glob("*/*.lua")
        if path.parent.name not in ("lib", "move")
    )


def pages(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut into lists of at most ``PAGE``."""
    rest = iter(items)
    while page := list(islice(rest, PAGE)):
        yield page
