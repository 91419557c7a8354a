"""What waits for its dependencies, as the sweep reads it: a piece of a group, and pages of the edges of one session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from scheduler.domain.moves import Heal
from scheduler.domain.records import record
from scheduler.domain.states import SessionState
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_UNHEALED: Final = Script.load("graph/unhealed")


@record
class Waits:
    """A PENDING session, as little as healing needs of it."""

    id: str
    unmet: str  #: as it is stored
    unsealed: bool


@record
class Parent:
    """One dependency of a session."""

    id: str
    state: str  #: "" where the record is gone
    linked: bool  #: whether it knows that the session waits for it


@dataclass(frozen=True, slots=True)
class Piece:
    """How much of a group one look is for."""

    start: int  #: place in the list of what is PENDING
    sessions: int
    edges: int
    wrong: int  #: parents that are put right


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found."""

    looked: int  #: sessions that are done with; 0 and no heals: the first has more edges than fit
    listed: int  #: sessions from the place on, at most as many as were asked for
    heals: Sequence[Heal]


def unhealed(client: redis.Redis, keys: Keys, group: str, piece: Piece) -> Looked:
    """What is wrong with some PENDING sessions of a group, oldest first."""
    with speaking_to(client):
        _, looked, listed, *found = _UNHEALED(
            client,
            keys.root,
            group=group,
            start=piece.start,
            sessions=piece.sessions,
            edges=piece.edges,
            most=piece.wrong,
        )
    heals = [Heal(each, group, wrong, unmet, int(count)) for each, unmet, count, wrong in found]
    return Looked(looked, listed, heals)


def waiting_at(client: redis.Redis, keys: Keys, group: str, place: int) -> Waits | None:
    """The PENDING session at a place of its group's list."""
    with speaking_to(client):
        found = cast(
            "list[str]", client.zrange(keys.state(group, SessionState.PENDING), place, place)
        )
        if not found:
            return None
        unmet, unsealed = cast(
            "list[str | None]", client.hmget(keys.session(found[0]), ["unmet", "unsealed"])
        )
    return Waits(found[0], unmet or "", unsealed == "1")


def edges_page(
    client: redis.Redis, keys: Keys, session: str, cursor: int, count: int
) -> tuple[int, dict[str, str]]:
    """Some of a session's edges, from a cursor; and the next cursor, 0 behind the last."""
    with speaking_to(client):
        following, found = cast("Any", client).hscan(keys.parents(session), cursor, count=count)
    return following, found


def parents_of(
    client: redis.Redis, keys: Keys, session: str, wanted: Iterable[str]
) -> list[Parent]:
    """Where the given parents of a session are."""
    parents = list(wanted)
    with speaking_to(client), client.pipeline(transaction=False) as pipe:
        for parent in parents:
            pipe.hget(keys.session(parent), "state")
            pipe.sismember(keys.dependents(parent), session)
        answers = pipe.execute()
    return [
        Parent(id=parent, state=state or "", linked=bool(linked))
        for parent, state, linked in zip(parents, answers[::2], answers[1::2], strict=True)
    ]
