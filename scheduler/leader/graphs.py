"""The sweep of what waits for dependencies, and of graphs that nobody loads any more; a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import redis

from scheduler.domain.clock import Clock
from scheduler.domain.moves import Heal
from scheduler.domain.states import FINAL, SessionState
from scheduler.store.edges import (
    Parent,
    Piece,
    Waits,
    edges_page,
    parents_of,
    unhealed,
    waiting_at,
)
from scheduler.store.graphs import GraphRepository
from scheduler.store.keys import Keys

#: Sessions, and edges of them, that one look is for; what has more edges is looked at in several.
SESSIONS, EDGES = 100, 500
#: Parents that one look puts right: as many as one script tells dependents, which may all become READY.
HEALED = 64
#: Between two looks of a round, s: a look costs Redis 2 ms, so a round takes a twentieth of it.
PAUSE_S: Final = 0.04
#: Steps of two hundred sessions in which a sweep deletes graphs that expired.
_DISCARDED = 20


@dataclass(slots=True)
class _Inside:
    """One session whose edges are looked at over several pieces."""

    waits: Waits
    cursor: int = 0
    #: A page may name an edge of an earlier one again.
    unmet: set[str] = field(default_factory=set)
    wrong: int = 0


class GraphChores:
    """Goes round the PENDING sessions of a group: each sweep begins a round, if none is under way."""

    def __init__(self, client: redis.Redis, keys: Keys, clock: Clock, group: str) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._group = group
        self._graphs = GraphRepository(client, keys, clock)
        self._place = 0
        self._inside: _Inside | None = None
        self._next = 0.0

    @property
    def under_way(self) -> bool:
        """Whether a round is not over yet."""
        return self._place > 0 or self._inside is not None

    def sweep(self) -> list[Heal]:
        """Delete what expired, and tell what is wrong with the next piece. Raises StoreUnavailable."""
        self._graphs.discard_expired(self._group, _DISCARDED)
        return self._look()

    def go_on(self) -> list[Heal]:
        """What is wrong with the next piece of a round, if it is time for one. Raises StoreUnavailable."""
        if not self.under_way or self._clock.monotonic() < self._next:
            return []
        return self._look()

    def _look(self) -> list[Heal]:
        found = self._piece() if self._inside is None else self._look_inside(self._inside)
        # What goes wrong once goes wrong often: where something was, the next look comes at once.
        self._next = self._clock.monotonic() + (0 if found else PAUSE_S)
        return found

    def _piece(self) -> list[Heal]:
        piece = Piece(self._place, SESSIONS, EDGES, HEALED)
        found = unhealed(self._client, self._keys, self._group, piece)
        if found.listed and not found.looked and not found.heals:
            waits = waiting_at(self._client, self._keys, self._group, self._place)
            self._place += 1
            if waits is None:
                return []
            self._inside = _Inside(waits)
            return self._look_inside(self._inside)
        over = found.looked == found.listed < SESSIONS
        self._place = 0 if over else self._place + found.looked
        return list(found.heals)

    def _look_inside(self, inside: _Inside) -> list[Heal]:
        """A page of the edges of one session that has many."""
        waits = inside.waits
        cursor, edges = edges_page(self._client, self._keys, waits.id, inside.cursor, EDGES)
        unmet = [parent for parent, edge in edges.items() if not edge.startswith("met")]
        parents = parents_of(self._client, self._keys, waits.id, unmet)
        wrong = _wrong(edges, parents)
        inside.unmet.update(unmet)
        inside.wrong += len(wrong)
        # Where more is wrong than one look puts right, the next one is for the same page.
        over = len(wrong) <= HEALED and cursor == 0
        if over:
            self._inside = None
        elif len(wrong) <= HEALED:
            inside.cursor = cursor
        # Who loads it counts, and knows of edges that are not written yet.
        counts = over and not inside.wrong and not waits.unsealed
        count = len(inside.unmet) if counts else -1
        if not wrong and (count < 0 or (waits.unmet or "0") == str(count)):
            return []
        return [Heal(waits.id, self._group, wrong[:HEALED], waits.unmet, count)]


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
