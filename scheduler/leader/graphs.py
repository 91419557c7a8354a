"""The sweep of what waits for dependencies, and of graphs that nobody loads any more; a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import redis

from scheduler.domain.clock import Clock
from scheduler.domain.moves import Heal
from scheduler.domain.states import FINAL, SessionState
from scheduler.store.edges import (
    Parent,
    Waits,
    edges_of_many,
    edges_page,
    parents_of,
    pending_page,
)
from scheduler.store.graphs import GraphRepository
from scheduler.store.keys import Keys

#: Sessions, and edges of them, that one sweep looks at; what has more edges is looked at in several.
SESSIONS, EDGES = 250, 1_000
#: Parents that a sweep puts right: as many as one script tells dependents.
HEALED = 200
#: Steps of two hundred sessions in which a sweep deletes graphs that expired.
_DISCARDED = 20


@dataclass(slots=True)
class _Inside:
    """One session whose edges are looked at over several sweeps."""

    waits: Waits
    cursor: int = 0
    #: A page may name an edge of an earlier one again.
    unmet: set[str] = field(default_factory=set)
    wrong: int = 0


class GraphChores:
    """Goes round the PENDING sessions of a group, from where it stopped last."""

    def __init__(self, client: redis.Redis, keys: Keys, clock: Clock, group: str) -> None:
        self._client = client
        self._keys = keys
        self._group = group
        self._graphs = GraphRepository(client, keys, clock)
        self._place = 0
        self._inside: _Inside | None = None

    def sweep(self) -> list[Heal]:
        """Delete what expired, and tell what is wrong with the next of them. Raises StoreUnavailable."""
        self._graphs.discard_expired(self._group, _DISCARDED)
        return self._look()

    def _look(self) -> list[Heal]:
        if self._inside is not None:
            return self._look_inside(self._inside)
        page = pending_page(self._client, self._keys, self._group, self._place, SESSIONS)
        few = _with_few_edges(page)
        looked_at = max(1, len(few))
        self._place = (
            self._place + looked_at if looked_at < len(page) or len(page) == SESSIONS else 0
        )
        if page and not few:
            self._inside = _Inside(page[0])
            return self._look_inside(self._inside)
        return self._look_at(few)

    def _look_at(self, sessions: list[Waits]) -> list[Heal]:
        found = edges_of_many(self._client, self._keys, [waits.id for waits in sessions])
        edges = {waits.id: each for waits, each in zip(sessions, found, strict=True)}
        parents = self._parents(edges)
        moves: list[Heal] = []
        left = HEALED
        for waits in sessions:
            wrong = self._wrong(edges[waits.id], parents[waits.id])
            unmet = sum(not edge.startswith("met") for edge in edges[waits.id].values())
            if (move := self._heal(waits, wrong[:left], unmet)) is not None:
                moves.append(move)
            left -= len(wrong)
            if left <= 0:
                break
        return moves

    def _look_inside(self, inside: _Inside) -> list[Heal]:
        """A page of the edges of one session that has many."""
        waits = inside.waits
        inside.cursor, edges = edges_page(self._client, self._keys, waits.id, inside.cursor, EDGES)
        wrong = self._wrong(edges, self._parents({waits.id: edges})[waits.id])
        inside.unmet |= {parent for parent, edge in edges.items() if not edge.startswith("met")}
        inside.wrong += len(wrong)
        over = inside.cursor == 0
        if over:
            self._inside = None
        counted = len(inside.unmet) if over and not inside.wrong else -1
        move = self._heal(waits, wrong[:HEALED], counted)
        return [] if move is None else [move]

    def _parents(self, edges: Mapping[str, Mapping[str, str]]) -> dict[str, list[Parent]]:
        unmet = {
            session: [parent for parent, edge in each.items() if not edge.startswith("met")]
            for session, each in edges.items()
        }
        return parents_of(self._client, self._keys, unmet)

    def _heal(self, waits: Waits, wrong: list[str], unmet: int) -> Heal | None:
        if not waits.state:
            return Heal(waits.id, self._group, [], "", -1)
        # Who loads it counts, and knows of edges that are not written yet.
        counts = not wrong and unmet >= 0 and not waits.unsealed
        if wrong or (counts and waits.unmet != str(unmet) and (unmet or waits.unmet)):
            return Heal(waits.id, self._group, wrong, waits.unmet, unmet if counts else -1)
        return None

    @staticmethod
    def _wrong(edges: Mapping[str, str], parents: list[Parent]) -> list[str]:
        """Those of a session's unmet dependencies that it should have been told of."""
        return [
            parent.id
            for parent in parents
            if (
                parent.state == SessionState.SUCCEEDED
                if edges[parent.id].startswith("held")
                else not parent.linked or not parent.state or parent.state in FINAL
            )
        ]


def _with_few_edges(page: list[Waits]) -> list[Waits]:
    """The first sessions, as many as have so many edges together as one sweep looks at."""
    edges = 0
    for count, waits in enumerate(page):
        edges += waits.parents
        if edges > EDGES:
            return page[:count]
    return page
