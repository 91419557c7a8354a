"""Sessions by name or by agent, page by page.

No index has names: a page reads those of so many sessions at most, and says where the next goes on. Of an
agent only what is placed in its group is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import shown
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.domain.wanted import Wanted
from scheduler.store.agents import AgentRepository
from scheduler.store.listing import ListingRepository, Place
from scheduler.store.sessions import SessionRepository

#: Sessions of which a page reads the names, at most.
LOOKED_AT: Final = 10_000
#: Sessions of one round trip.
BATCH: Final = 500
_CURSOR: Final = re.compile(r"([A-Z_]+)\.([A-Za-z0-9_-]+)\.([0-9]{1,16})\.([0-9a-z]{26})")


class Store(Protocol):
    """The repositories that are read."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def listing(self) -> ListingRepository: ...
    @property
    def agents(self) -> AgentRepository: ...


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some of the sessions that are wanted."""

    items: list[SessionData]
    looked_at: int  #: of how many sessions that was read
    cursor: str | None  #: asks for the next page; None where all were looked at


@dataclass(frozen=True, slots=True)
class Look:
    """What a page is asked by."""

    wanted: Wanted
    groups: Sequence[str]
    states: Sequence[SessionState] = ()  #: none is all
    cursor: str | None = None
    limit: int = 100


def find_sessions(store: Store, look: Look) -> SessionPage:
    """A page of sessions, state by state in the order of a life, in each group the newest first, READY as queued.

    It ends with ``limit`` sessions, or where it has looked at LOOKED_AT. One that moves on meanwhile is
    met, as it was or as it is, on two pages perhaps. Raises AgentNotFound, InvalidSetting.
    """
    states, groups = look.wanted.states(look.states), _groups(store, look)
    shelves = [(state, group) for state in states for group in groups]
    first, place = (0, None) if look.cursor is None else _place(look.cursor, shelves)
    found: dict[str, SessionData] = {}
    looked_at = 0
    for state, group in shelves[first:]:
        while batch := store.listing.after(group, state, place, BATCH):
            matching = select(store.sessions, [entry.session for entry in batch], look.wanted)
            for entry in batch:
                place, looked_at = entry, looked_at + 1
                if (data := matching.get(entry.session)) and data.state in states:
                    found[data.id] = data
                if len(found) == look.limit or looked_at == LOOKED_AT:
                    cursor = f"{state}.{group}.{place.score}.{place.session}"
                    return SessionPage(list(found.values()), looked_at, cursor)
        place = None
    return SessionPage(list(found.values()), looked_at, None)


def each_session(store: Store, look: Look) -> Iterator[SessionData]:
    """All that are wanted, at most ``limit``, page after page as they are asked for. Raises as find_sessions."""
    left, cursor = look.limit, look.cursor
    while left:
        page = find_sessions(
            store, Look(look.wanted, look.groups, look.states, cursor, min(left, BATCH))
        )
        yield from page.items
        left, cursor = left - len(page.items), page.cursor
        if cursor is None:
            return


def select(
    sessions: SessionRepository, ids: Sequence[str], wanted: Wanted
) -> dict[str, SessionData]:
    """Those of the given sessions that are wanted; of the others no more is read than their names."""
    if wanted.name is not None:
        ids = [session for session, name in sessions.names(ids).items() if wanted.named(name)]
    found = sessions.many(ids) if ids else []
    return {data.id: data for data in found if wanted.takes(data)}


def _groups(store: Store, look: Look) -> Sequence[str]:
    """The groups to look through: of an agent its own, where that is known."""
    if look.wanted.agent is None:
        return look.groups
    own = store.agents.get(look.wanted.agent).group
    return [group for group in look.groups if group == own or not own]


def _place(cursor: str, shelves: Sequence[tuple[str, str]]) -> tuple[int, Place]:
    """The index that a cursor speaks of, and the place in it. Raises InvalidSetting."""
    match = _CURSOR.fullmatch(cursor)
    if match is None or (match[1], match[2]) not in shelves:
        problem = f"{shown(cursor)} is not one that a page of this list ended with"
        raise InvalidSetting(name="cursor", problem=problem)
    return shelves.index((match[1], match[2])), Place(match[4], int(match[3]))
