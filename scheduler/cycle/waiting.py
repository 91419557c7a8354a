"""The waiting sessions of a group: one line per kind of request, so that equal requests are decided once.

A line that was refused sleeps until something happens that could cure it; a cycle looks only at the
lines that are awake. So a hundred thousand refused sessions cost nothing until their cure comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from scheduler.domain.records import record
from scheduler.domain.request import Request
from scheduler.domain.scope import Scope
from scheduler.domain.verdict import Verdict
from scheduler.plugins.interfaces import Candidate, Need

Rank = Callable[[Candidate], tuple[int, ...]]

#: The event that wakes whoever found no room on any agent.
ROOM = "agents"
#: Entries of sessions that left, below which a line is not worth tidying.
_FEW = 64


@record
class WaitingSession:
    """One READY session, as little as the cycle needs of it."""

    id: str
    request: Request
    priority: int
    seq: int
    attempt: int
    digest: str
    name: str
    retries_from: int = 0
    rescues: int = 0
    failed_on: tuple[str, ...] = ()  #: agents of its last failed attempts
    waiting_since: int = 0  #: ms of Redis' clock
    own_timeout_ms: int | None = None  #: set after it was submitted

    @property
    def timeout_ms(self) -> int:
        """How long it may run, ms."""
        return self.own_timeout_ms or self.request.timeout_ms


@dataclass(slots=True)
class Line:
    """Sessions with equal requests, best rank first."""

    request: Request
    needs: Sequence[Need] = ()  #: by its cluster mode, once it was asked
    heap: list[tuple[tuple[Any, ...], WaitingSession]] = field(default_factory=list)
    waiting: int = 0  #: entries of the heap that still wait
    verdict: Verdict | None = None
    tries: int = 0
    cures: frozenset[str] = frozenset()


def _as_they_came(session: Candidate) -> tuple[int, ...]:
    return (-session.priority, session.seq)


class WaitingRoom:
    """All READY sessions that were loaded."""

    def __init__(self, rank: Rank) -> None:
        self._wanted = self._rank = rank
        #: Why the scheduler cannot order them, as long as it cannot: they stand as they came meanwhile.
        self.broken = ""
        self.changes = 0  #: how often somebody came or left
        self._entries = count()
        self._known: dict[str, WaitingSession] = {}
        self._lines: dict[str, Line] = {}
        self._awake: set[str] = set()
        self._sleepers: dict[str, set[str]] = {}
        self._arrived: list[WaitingSession] = []
        #: Counts changes of who waits, and of which lines are awake.
        self.version = 0
        #: Told who comes and goes, as a shadow's room.
        self.twin: WaitingRoom | None = None

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, session: str) -> bool:
        return session in self._known

    def is_awake(self, session: WaitingSession) -> bool:
        """Whether a session waits, and its line was not refused."""
        return session.id in self._known and session.request.id in self._awake

    def add(self, session: WaitingSession) -> None:
        """Let a session wait; one that waits already is left where it is."""
        if session.id in self._known:
            return
        if self.twin is not None:
            self.twin.add(session)
        self.version += 1
        self._known[session.id] = session
        self.changes += 1
        line = self._lines.get(session.request.id)
        if line is None:
            line = self._lines[session.request.id] = Line(session.request)
        self._push(line, session)
        line.waiting += 1
        if not (session.attempt or session.rescues):
            self._arrived.append(session)
        # A new first of a line that sleeps finds no more room than the last; it may rank before
        # whoever room is promised to.
        if line.verdict is None or self._head(line) is session:
            self._awake.add(session.request.id)

    def take_arrived(self) -> list[WaitingSession]:
        """Who began to wait since this was asked last, for the first time in its life."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def discard(self, session: str) -> WaitingSession | None:
        """A session waits no more, whatever became of it."""
        self.version += 1
        found = self._known.pop(session, None)
        if self.twin is not None:
            self.twin.discard(session)
        if found is not None:
            self.changes += 1
            line = self._lines[found.request.id]
            line.waiting -= 1
            if self._head(line) is None:
                self._close(line)
            elif len(line.heap) > 2 * line.waiting + _FEW:
                # A line that sleeps is never looked at from the top: who left it is dropped here.
                line.heap = [entry for entry in line.heap if self._waits(entry[1])]
                heapq.heapify(line.heap)
        return found

    def awake(self) -> set[str]:
        """The requests of the lines that a cycle looks at."""
        return set(self._awake)

    def rouse(self, request: str) -> bool:
        """Let a line that sleeps take its turn once, refused as it is; whether it sleeps."""
        line = self._lines.get(request)
        if line is None or line.verdict is None:
            return False
        self.version += 1
        self._awake.add(request)
        return True

    def calm(self, request: str) -> None:
        """Its turn did not come: let it sleep on."""
        line = self._lines.get(request)
        if line is not None and line.verdict is not None:
            self.version += 1
            self._awake.discard(request)

    def heads(self) -> list[WaitingSession]:
        """The first session of every line that is awake."""
        return [head for key in list(self._awake) if (head := self._head(self._lines[key]))]

    def successor(self, placed: WaitingSession) -> WaitingSession | None:
        """Take a session out; the next of its line."""
        self.discard(placed.id)
        line = self._lines.get(placed.request.id)
        return None if line is None else self._head(line)

    def put_to_sleep(self, request: str, verdict: Verdict) -> bool:
        """A line was refused; whether what it was told is new."""
        line = self._lines[request]
        news = line.verdict != verdict
        self.version += 1
        self._awake.discard(request)
        line.verdict, line.tries = verdict, line.tries + 1
        self._forget_cures(line)
        line.cures = frozenset(cure.event for cure in verdict.cures)
        for event in line.cures:
            self._sleepers.setdefault(event, set()).add(request)
        return news

    def wake(self, event: str) -> None:
        """Something happened that could cure refusals."""
        for request in list(self._sleepers.get(event, ())):
            self._wake_line(self._lines[request])

    def wake_of(self, session: str) -> None:
        """Somebody asks for a session: look at those of its kind again."""
        found = self._known.get(session)
        if found is not None:
            self._wake_line(self._lines[found.request.id])

    def waits_for(self, event: str) -> bool:
        """Whether somebody was refused whom this could cure."""
        return event in self._sleepers

    def wake_office(self, office: str) -> list[Scope]:
        """Look at all jobs of an office again; the scopes they hold once they are placed."""
        scopes: set[Scope] = set()
        for line in self._lines.values():
            if line.request.office == office:
                scopes.update(line.request.scopes)
                if line.verdict is not None:
                    self._wake_line(line)
        return sorted(scopes)

    def wake_all(self) -> None:
        """Look at everything again: the slow sweep, and whatever changes more than can be named."""
        if self.broken:
            self.rank_anew(self._wanted)
        # Not by their cures: a rule of a plugin may have named none.
        for line in self._lines.values():
            if line.verdict is not None:
                self._wake_line(line)

    def rank_anew(self, rank: Rank) -> None:
        """Another scheduler orders the lines from now on."""
        self._wanted, self.broken = rank, ""
        self._order_by(rank)

    def renew(self, request: Request) -> None:
        """What a kind of sessions inherits is different from now on; they stand where they stood."""
        if self.twin is not None:
            self.twin.renew(request)
        line = self._lines.get(request.id)
        if line is None:
            return
        self.version += 1
        line.request, line.needs, entries = request, (), line.heap
        line.heap = []
        for rank, session in entries:
            if self._waits(session):
                renewed = replace(session, request=request)
                self._known[session.id] = renewed
                line.heap.append((rank, renewed))
        heapq.heapify(line.heap)
        self._wake_line(line)

    def needs(
        self, session: WaitingSession, work_out: Callable[[Request], Sequence[Need]]
    ) -> Sequence[Need]:
        """What a waiting session asks of agents, worked out once for all that ask the same."""
        line = self._lines[session.request.id]
        if not line.needs:
            line.needs = work_out(line.request)
        return line.needs

    def line(self, request: str) -> Line | None:
        """A line by its request."""
        return self._lines.get(request)

    def lines(self) -> Iterator[Line]:
        """All lines."""
        return iter(self._lines.values())

    def of(self, request: str) -> list[WaitingSession]:
        """All sessions of one line."""
        line = self._lines.get(request)
        return [s for _, s in line.heap if self._waits(s)] if line else []

    def in_order(self, request: str) -> Iterator[WaitingSession]:
        """The sessions of one line, first first."""
        line = self._lines.get(request)
        entries = list(line.heap) if line else []
        while entries:
            session = heapq.heappop(entries)[1]
            if self._waits(session):
                yield session

    def firsts(self) -> list[WaitingSession]:
        """The first session of every line, also of those that sleep."""
        return [head for line in self._lines.values() if (head := self._head(line)) is not None]

    @property
    def kinds(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def ids(self) -> set[str]:
        """All that wait."""
        return set(self._known)

    def _order_by(self, rank: Rank) -> None:
        self.version += 1
        self._rank = rank
        for line in self._lines.values():
            line.heap = []
        for session in self._known.values():
            self._push(self._lines[session.request.id], session)
            if self._rank is not rank:
                return  # it broke at this one, and all were ordered as they came

    def _push(self, line: Line, session: WaitingSession) -> None:
        # The number ends the rank: a session that left and came back stands there twice, and two
        # sessions are never compared themselves.
        try:
            entry = (*self._rank(session), session.id, next(self._entries)), session
            heapq.heappush(line.heap, entry)
        except Exception as error:  # noqa: BLE001 - the scheduler's own trouble, which its next cycle tells
            self.broken = f"it cannot rank sessions: {type(error).__name__}: {error}"
            self._order_by(_as_they_came)

    def _waits(self, session: WaitingSession) -> bool:
        return self._known.get(session.id) is session

    def _wake_line(self, line: Line) -> None:
        self.version += 1
        self._forget_cures(line)
        line.verdict = None
        self._awake.add(line.request.id)

    def _head(self, line: Line) -> WaitingSession | None:
        # Sessions that left are dropped when they come up.
        while line.heap and not self._waits(line.heap[0][1]):
            heapq.heappop(line.heap)
        return line.heap[0][1] if line.heap else None

    def _close(self, line: Line) -> None:
        self._forget_cures(line)
        self._awake.discard(line.request.id)
        del self._lines[line.request.id]

    def _forget_cures(self, line: Line) -> None:
        for event in line.cures:
            sleepers = self._sleepers[event]
            sleepers.discard(line.request.id)
            if not sleepers:
                del self._sleepers[event]
        line.cures = frozenset()
