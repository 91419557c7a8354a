"""What waits for its dependencies, as the sweep reads it: pages of sessions, and of the edges of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import redis

from scheduler.domain.records import record
from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


@record
class Waits:
    """A PENDING session, as little as healing needs of it."""

    id: str
    state: str  #: "" where the record is gone
    unmet: str  #: as it is stored
    unsealed: bool
    parents: int


@record
class Parent:
    """One dependency of a session."""

    id: str
    state: str  #: "" where the record is gone
    linked: bool  #: whether it knows that the session waits for it


def pending_page(
    client: redis.Redis, keys: Keys, group: str, start: int, limit: int
) -> list[Waits]:
    """PENDING sessions of a group from a place in its list on, oldest first."""
    with speaking_to(client):
        ids = cast(
            "list[str]",
            client.zrange(keys.state(group, SessionState.PENDING), start, start + limit - 1),
        )
    with speaking_to(client), client.pipeline(transaction=False) as pipe:
        for session in ids:
            pipe.hmget(keys.session(session), "state", "unmet", "unsealed")
            pipe.hlen(keys.parents(session))
        found = pipe.execute()
    return [
        Waits(
            id=session,
            state=state or "",
            unmet=unmet or "",
            unsealed=unsealed == "1",
            parents=count,
        )
        for session, (state, unmet, unsealed), count in zip(
            ids, found[::2], found[1::2], strict=True
        )
    ]


def edges_page(
    client: redis.Redis, keys: Keys, session: str, cursor: int, count: int
) -> tuple[int, dict[str, str]]:
    """Some of a session's edges, from a cursor; and the next cursor, 0 behind the last."""
    with speaking_to(client):
        following, found = cast("Any", client).hscan(keys.parents(session), cursor, count=count)
    return following, found


def edges_of_many(client: redis.Redis, keys: Keys, sessions: Sequence[str]) -> list[dict[str, str]]:
    """All edges of sessions that have few."""
    with speaking_to(client), client.pipeline(transaction=False) as pipe:
        for session in sessions:
            pipe.hgetall(keys.parents(session))
        return cast("list[dict[str, str]]", pipe.execute())


def parents_of(
    client: redis.Redis, keys: Keys, wanted: Mapping[str, Iterable[str]]
) -> dict[str, list[Parent]]:
    """By session, where the given parents of it are."""
    pairs = [(session, parent) for session, parents in wanted.items() for parent in parents]
    found: dict[str, list[Parent]] = {session: [] for session in wanted}
    with speaking_to(client), client.pipeline(transaction=False) as pipe:
        for session, parent in pairs:
            pipe.hget(keys.session(parent), "state")
            pipe.sismember(keys.dependents(parent), session)
        answers = pipe.execute()
    for (session, parent), state, linked in zip(pairs, answers[::2], answers[1::2], strict=True):
        found[session].append(Parent(id=parent, state=state or "", linked=bool(linked)))
    return found
