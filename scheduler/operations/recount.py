"""Counts anew, from the sessions themselves, everything that is counted, and names what differs.

While a cluster works, what is read at two moments need not agree. So every suspicion is looked at
again on facts that were read in one step; only what is wrong there is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from scheduler.domain.errors import ScriptError
from scheduler.domain.scope import Scope
from scheduler.domain.session import KernelData, SessionData
from scheduler.domain.slots import render_amount
from scheduler.domain.states import FINAL, KERNEL_LIVE, PLACED, WAITING, SessionState
from scheduler.store.agents import AgentRepository
from scheduler.store.audit import PAGE, RANK, AuditRepository, Entry, pages
from scheduler.store.groups import GroupRepository
from scheduler.store.rows import agent_from_record
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository

#: How often something suspicious is looked at.
TRIES = 5
PAUSE_S = 0.05
#: Findings that are kept of one kind; the rest are as wrong, and memory is not for them.
KEPT = 1_000
_LARGE = 2**30

#: In the order of a life, so that what moves on meanwhile is met twice rather than never.
_WALK = (*WAITING, *PLACED, *FINAL)


class Store(Protocol):
    """The repositories that are counted."""

    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def agents(self) -> AgentRepository: ...
    @property
    def groups(self) -> GroupRepository: ...
    @property
    def scopes(self) -> ScopeRepository: ...


@dataclass(slots=True)
class Tally:
    """What one walk through all indexes found."""

    sessions: int = 0
    uses: Counter[str] = field(default_factory=Counter)
    drift: list[str] = field(default_factory=list)
    spoilt: dict[str, tuple[str, ...]] = field(default_factory=dict)  #: sessions, and which fields
    #: Listed without a record, by group and state.
    gone: dict[tuple[str, SessionState], list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)  #: indexes that could not be walked


class Recount:
    """Recounts one namespace; ``pause`` waits some seconds between two looks at the same thing."""

    def __init__(
        self,
        store: Store,
        audit: AuditRepository,
        pause: Callable[[float], object],
    ) -> None:
        self._store = store
        self._audit = audit
        self._pause = pause

    def indexes(self, newest: int | None = None) -> Tally:
        """Walk every index, and see whether each entry is in that state, and READY at its rank.

        With ``newest``, only sessions submitted up to that number are tallied.
        """
        tally, seen = Tally(), _Numbers()
        for group in self._store.groups.names():
            for state in _WALK:
                with _noting(tally, f"the index of {state} in group {group}"):
                    self._index(tally, seen, (group, state), newest)
            with _noting(tally, f"the list of what is not to be seen yet in group {group}"):
                for entry in chain.from_iterable(self._audit.unseen(group)):
                    if _counts(entry, newest) and seen.add(entry.seq):
                        tally.uses[entry.request] += 1
        return tally

    def _index(
        self, tally: Tally, seen: _Numbers, of: tuple[str, SessionState], newest: int | None
    ) -> None:
        for entry in chain.from_iterable(self._audit.index(*of)):
            _keep(tally.drift, misplaced(entry, *of))
            if entry.score is not None and not entry.state and not entry.unreadable:
                tally.gone.setdefault(of, []).append(entry.id)
            if entry.unreadable and len(tally.spoilt) < KEPT:
                tally.spoilt[entry.id] = entry.unreadable
            if _counts(entry, newest) and seen.add(entry.seq):
                tally.sessions += 1
                tally.uses[entry.request] += 1

    def records(self, tally: Tally) -> list[str]:
        """Records that make no sense: those the walk met, and what placed ones say of their kernels."""
        found = dict(tally.spoilt)
        for group in self._store.groups.names():
            # Of an index that cannot be walked the tally tells; what else was found must be told, too.
            with suppress(ScriptError):
                for data in chain.from_iterable(self._placed(group)):
                    if data.unreadable and len(found) < KEPT:
                        found[data.id] = data.unreadable
        return [
            f"session {session} has a spoilt record ({', '.join(fields)});"
            " cancel it, or put the record right"
            for session, fields in found.items()
        ]

    def requests(self, tally: Tally) -> list[str]:
        """Whether each kind of request counts the sessions there are."""
        suspects: dict[str, tuple[int, int]] = {}
        for page in pages(tally.uses):
            suspects |= _unequal(self._audit.request_uses(page)[1], tally)
        for _ in range(TRIES):
            if not suspects:
                break
            self._pause(PAUSE_S)
            # What is submitted during the walk counts in neither number.
            newest, counts = self._audit.request_uses(list(suspects)[:PAGE])
            again = _unequal(counts, self.indexes(newest))
            stays = {r: found for r, found in again.items() if found == suspects[r]}
            if stays:
                return [
                    f"request {r} counts {is_} sessions, there are {are}"
                    for r, (is_, are) in sorted(stays.items())
                ]
            suspects = again
        return []

    def slots(self, group: str) -> list[str]:
        """Whether what each agent of a group has lent is what the live kernels on it hold."""
        since = self._audit.now_ms() - 1
        sessions: dict[str, set[str]] = defaultdict(set)
        held: dict[str, Counter[str]] = defaultdict(Counter)
        for data in chain.from_iterable(self._placed(group)):
            for kernel in live(data):
                sessions[kernel.agent].add(data.id)
                held[kernel.agent].update(kernel.slots)
        drift: list[str] = []
        for page in pages(sorted({*self._store.agents.ids(group), *sessions})):
            lent = {a.id: _differences(a.capacity, a.free) for a in self._store.agents.many(page)}
            for agent in page:
                if lent.get(agent) != dict(held[agent]):
                    _keep(drift, *self._agent(agent, group, sessions[agent], since))
        return drift

    def _agent(self, agent: str, group: str, sessions: set[str], since: int) -> list[str]:
        """One agent, exactly: its record and every session that may be on it, read in one step."""
        for _ in range(TRIES):
            now = self._audit.now_ms() - 1
            sessions = sessions | self._audit.agent_step(agent, group, (), since).placed_since
            step = self._audit.agent_step(agent, group, sorted(sessions), now)
            if step.placed_since <= sessions:
                return _slot_drift(agent, step.record, self._held(agent, step.rows))
            since = now
            self._pause(PAUSE_S)
        return []

    def _held(self, agent: str, rows: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        held: Counter[str] = Counter()
        for data in self._store.sessions.read(rows).values():
            for kernel in live(data):
                if kernel.agent == agent:
                    held.update(kernel.slots)
        return dict(held)

    def scopes(self, requests: Iterable[str]) -> list[str]:
        """Whether exactly the placed sessions that name a scope hold it.

        Looks at scopes that were given limits and at those the given requests name: there is no
        list of others.
        """
        drift: list[str] = []
        for group in self._store.groups.names():
            for placed in self._placed(group):
                _keep(drift, *self._missing(placed))
        for scope in sorted(self._named(requests)):
            for members in self._audit.members(scope):
                _keep(drift, *self._strays(scope, members))
        return drift

    def _named(self, requests: Iterable[str]) -> set[Scope]:
        named = {*self._store.scopes.known(), *self._store.scopes.counting()}
        for page in pages(requests):
            found = self._store.sessions.requests(page).values()
            named |= {scope for request in found for scope in request.scopes}
        return named

    def _missing(self, placed: list[SessionData]) -> Iterator[str]:
        pairs = [(data.id, scope) for data in placed for scope in data.request.scopes]
        for (session, scope), (state, holds) in zip(
            pairs, self._audit.membership(pairs), strict=True
        ):
            if state in PLACED and not holds:
                yield f"session {session} is {state} and does not hold scope {scope}"

    def _strays(self, scope: Scope, members: list[str]) -> Iterator[str]:
        naming: dict[str, SessionData] = {
            data.id: data for data in self._store.sessions.many(members)
        }
        pairs = [(session, scope) for session in members]
        for (session, _), (state, holds) in zip(pairs, self._audit.membership(pairs), strict=True):
            data = naming.get(session)
            if not holds:
                continue
            if state not in PLACED:
                yield f"scope {scope} is held by session {session}, which is {state or 'not known'}"
            elif data is not None and tuple(scope) not in data.request.scopes:
                yield f"scope {scope} is held by session {session}, which does not name it"
        yield from self._unlisted(naming.values())

    def _unlisted(self, sessions: Iterable[SessionData]) -> Iterator[str]:
        """The way back: what is placed is listed as such."""
        places: dict[tuple[str, SessionState], list[str]] = defaultdict(list)
        for data in sessions:
            places[data.group, data.state].append(data.id)
        for (group, state), ids in places.items():
            for entry in self._audit.entries(group, state, ids):
                if entry.score is None and (said := misplaced(entry, group, state)):
                    yield said

    def _placed(self, group: str) -> Iterator[list[SessionData]]:
        for state in PLACED:
            start = 0
            while ids := self._audit.ids(group, state, start):
                yield self._store.sessions.many(ids)
                start += len(ids)


@contextmanager
def _noting(tally: Tally, what: str) -> Iterator[None]:
    """One index that cannot be walked must not hide the others."""
    try:
        yield
    except ScriptError as error:
        tally.unreadable.append(f"{what} cannot be read ({error.facts['problem']})")


def _counts(entry: Entry, newest: int | None) -> bool:
    return bool(entry.state) and (newest is None or entry.seq <= newest)


def misplaced(entry: Entry, group: str, state: SessionState) -> str:
    """What is wrong with an entry of an index, or ""."""
    where = f"session {entry.id} is listed as {state} in group {group}"
    if entry.score is None:
        return (
            f"session {entry.id} is {state} and not listed in group {group}"
            if entry.state == state
            else ""
        )
    if not entry.state:
        return f"{where}, and there is no record of it"
    if entry.state != state or entry.group != group:
        return f"{where}, and is {entry.state} in group {entry.group}"
    if state is SessionState.READY and entry.score != (
        rank := (100 - entry.priority) * RANK + entry.seq
    ):
        return f"{where} at {entry.score:.0f}, its rank is {rank}"
    return ""


def live(data: SessionData) -> Iterator[KernelData]:
    """The kernels that hold slots."""
    return (k for k in data.kernels if data.state in PLACED and k.state in KERNEL_LIVE)


def _slot_drift(agent: str, record: Mapping[str, str], held: Mapping[str, int]) -> list[str]:
    if held and not record:
        return [f"agent {agent} is not known, and kernels hold slots of it"]
    data = agent_from_record(agent, record)
    lent = _differences(data.capacity, data.free)
    return [
        f"agent {agent} has lent {render_amount(slot, lent.get(slot, 0))} {slot},"
        f" its live kernels hold {render_amount(slot, held.get(slot, 0))}"
        for slot in sorted({*lent, *held})
        if lent.get(slot, 0) != held.get(slot, 0)
    ]


def _differences(total: Mapping[str, int], free: Mapping[str, int]) -> dict[str, int]:
    lent = {slot: total.get(slot, 0) - free.get(slot, 0) for slot in {*total, *free}}
    return {slot: amount for slot, amount in lent.items() if amount}


def _unequal(counts: Mapping[str, int | None], tally: Tally) -> dict[str, tuple[int, int]]:
    return {r: (c or 0, tally.uses[r]) for r, c in counts.items() if (c or 0) != tally.uses[r]}


def _keep(drift: list[str], *found: str) -> None:
    drift += [said for said in found if said][: KEPT - len(drift)]


class _Numbers:
    """A set of small positive numbers, a bit for each: a million take 125 KB.

    A number that no namespace has reached is of a spoilt record; bits up to there would take all memory.
    """

    def __init__(self) -> None:
        self._bits = bytearray()
        self._large: set[int] = set()

    def add(self, number: int) -> bool:
        """Whether it is new."""
        if number >= _LARGE:
            new_large = number not in self._large
            self._large.add(number)
            return new_large
        index, bit = number >> 3, 1 << (number & 7)
        if index >= len(self._bits):
            self._bits += bytes(index + 1 - len(self._bits) + 4096)
        new = not self._bits[index] & bit
        self._bits[index] |= bit
        return new
