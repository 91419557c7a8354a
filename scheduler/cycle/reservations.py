"""Room promised to sessions that found none: what comes after them may fill the gaps, and delays nobody.

`easy` promises to the first blocked session in the scheduler's order, `conservative` to one of each
kind of request, up to a bound. A promise is a time and the kernels it will hold from then on. Who
is tried behind it in a cycle may take of its agents only what it leaves; who is tried before it takes
what it wants, and the promise is made anew. So ranks need not be compared: the order of trying is the
rank, whatever the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.foresight import Asked, Foresight
from scheduler.cycle.plan import Placement
from scheduler.cycle.promise import Promise, promise_of
from scheduler.cycle.releases import START_MS, Releases, end_of
from scheduler.cycle.vacancy import Vacancy
from scheduler.cycle.waiting import ROOM, WaitingRoom, WaitingSession
from scheduler.domain.clock import utc
from scheduler.domain.group import Backfill
from scheduler.domain.verdict import Cure, Failure, Verdict
from scheduler.plugins.interfaces import KernelAgentBinding, Need

#: The name by which sessions are told that room is kept for others.
BACKFILL: Final = "backfill"
#: Promises at a time.
_BOUNDS: Final = {Backfill.NONE: 0, Backfill.EASY: 1, Backfill.CONSERVATIVE: 100}
#: A promise that holds is looked at for an earlier time only this often: its session starts as soon
#: as it finds room anyway, and a look costs what thousands of ends do.
RENEW_MS = 1_000
#: Looks ahead in one cycle, so that it stays short; who comes after them is promised something later.
_LOOKS, _HOPELESS_LOOKS = 10, 200
#: For how long whoever no agents would ever hold is not looked at again, ms.
_HOPELESS_MS = 10_000
#: Requests that are remembered as hopeless until they are looked at again.
_REMEMBERED = 10_000
#: Agents of a promise that are named to people.
_NAMED = 3
#: Placements of one session that are tried and taken back before all that is promised is hidden.
_TAKEN_BACK = 2
_CURE: Final = "the other session starts, ends or is cancelled"

Attempt = Callable[[], Placement | None]


@dataclass(slots=True)
class _Cycle:
    """What one cycle has learned."""

    now_ms: int
    #: Promises of those that were tried already, in that order.
    active: list[Promise] = field(default_factory=list)
    #: Lines that sleep and take part for their promise's sake: nothing ended since they were refused.
    roused: set[str] = field(default_factory=set)
    hidden: dict[str, frozenset[int]] = field(default_factory=dict)  #: agents, by request
    looks: int = 0
    hopeless: int = 0  #: looks at which the sums alone said never
    idle: bool = False  #: nobody was awake, so nobody is tried
    freed: bool = False  #: a promise was given up that sleepers may have been refused for


class Reservations:
    """The promises of one group, kept from cycle to cycle."""

    def __init__(
        self,
        agents: AgentTable,
        waiting: WaitingRoom,
        releases: Releases,
    ) -> None:
        self._agents = agents
        self._waiting = waiting
        self._releases = releases
        self._kind = Backfill.NONE
        self._standing: dict[str, Promise] = {}  #: by request
        self._vacancy = Vacancy(agents, releases)
        self._foresight = Foresight()
        self._hopeless: dict[str, int] = {}  #: requests that no agents would ever hold, and when
        self._doubtful = False  #: whether somebody may have taken what is promised
        self._cycle = _Cycle(0)
        self._shield = ExitStack()
        self._shielded: frozenset[int] = frozenset()

    def begin(self, kind: Backfill, now_ms: int) -> None:
        """A cycle begins."""
        self._unshield()
        self._cycle = _Cycle(now_ms)
        self._vacancy.now_ms = now_ms
        gone = [r for r, p in self._standing.items() if p.session.id not in self._waiting]
        if kind is not self._kind:
            gone, self._kind = list(self._standing), kind
        for request in gone:
            self._give_up(request)
        if gone:
            # Whoever was refused for their sake, and whoever comes next in their place.
            self._waiting.wake(ROOM)
        self._cycle.idle = not self._waiting.awake()
        if self._standing and not self._cycle.idle:
            self._cycle.roused = {r for r in self._standing if self._waiting.rouse(r)}
            # Where something ended or changed, so may have what was counted on.
            self._doubtful |= len(self._cycle.roused) < len(self._standing)

    def end(self, *, whole: bool) -> bool:
        """A cycle is over, and came to its end if ``whole``; whether there should be another at once."""
        self._unshield()
        cycle = self._cycle
        if cycle.idle:
            return False
        for request in cycle.roused:
            self._waiting.calm(request)
        kept = [p.request for p in cycle.active]
        if not whole:
            kept += [request for request in self._standing if request not in kept]
        for request in set(self._standing).difference(kept[: _BOUNDS[self._kind]]):
            self._give_up(request)
            cycle.freed |= request in cycle.roused
        if whole:
            # In the order of their ranks, as far as it is known.
            self._standing = {promise.request: promise for promise in cycle.active}
        if cycle.freed:
            self._waiting.wake(ROOM)
        return cycle.freed

    def place(self, session: WaitingSession, attempt: Attempt) -> Placement | None:
        """Try to place a session where it delays nobody that room is promised to before it."""
        if self._kind is Backfill.NONE:
            return attempt()
        if not (self._standing or self._cycle.active):
            # Nobody waits for room: the usual case, in which this must cost nothing.
            found = attempt()
            if found is not None:
                self._hold(found, end_of(self._cycle.now_ms, session.timeout_ms))
            return found
        if self._doubtful:
            self._settle_doubts()
        own = self._standing.get(session.request.id)
        if own is not None and own.request in self._cycle.roused and own.session.id == session.id:
            # Nothing ended since it was refused, and what was promised to it still stands.
            return None
        respected = self._respected(session)
        ends_ms = end_of(self._cycle.now_ms, session.timeout_ms)
        if own is not None and self._cycle.now_ms <= own.at_ms + START_MS:
            # What was promised to it, it may use as it was promised.
            ends_ms = min(ends_ms, own.ends_ms)
        found = self._beside(session, attempt, respected, ends_ms)
        if found is None and own is not None:
            found = self._as_promised(own, session)
            if found is not None and self._vacancy.crowded(found, respected, ends_ms):
                self._take_back(found)
                found = None
        if found is not None:
            self._placed(found, respected, ends_ms)
        return found

    def refuse(self, asked: Asked, verdict: Verdict) -> Verdict:
        """A session found no room: promise it some if it is its turn. What it is told."""
        self._unshield()
        session, cycle = asked.session, self._cycle
        request = session.request.id
        if hidden := cycle.hidden.get(request):
            verdict = Verdict((*verdict.failures, self._held_back(hidden)))
        if len(cycle.active) >= _BOUNDS[self._kind]:
            if request in self._standing:
                self._give_up(request)
                cycle.freed |= request in cycle.roused
            return verdict
        promise = self._promise(asked)
        if promise is None:
            return verdict
        cycle.active.append(promise)
        first, *rest = verdict.failures
        told = Failure(first.by, f"{first.reason}; {promise.says}", first.cures)
        return Verdict((told, *rest))

    def of(self, request: str) -> Promise | None:
        """What is promised to the first session of a line, or None."""
        return self._standing.get(request)

    def word_held_back(self, request: str, needs: Sequence[Need]) -> str:
        """For whom an agent is reserved on which these would find room; "" where there is none now."""
        for promise in (p for p in self._standing.values() if p.request != request):
            for hold in promise.holds[:_NAMED]:
                index = self._agents.index_of(hold.agent)
                if index is not None and any(self._agents.has_room(index, n) for n in needs[:1]):
                    return (
                        f"{hold.agent} is reserved for session {promise.session.id} from"
                        f" {utc(promise.at_ms)} on; it may run longer than that"
                    )
        return ""

    def _settle_doubts(self) -> None:
        """Give up the promises that cannot be kept beside those before them: they are made anew."""
        self._unshield()
        self._doubtful = False
        kept = list(self._cycle.active)
        for promise in [p for p in self._standing.values() if p not in kept]:
            if self._vacancy.holds(promise, kept):
                kept.append(promise)
            else:
                self._give_up(promise.request)
                self._cycle.freed |= promise.request in self._cycle.roused

    def _respected(self, session: WaitingSession) -> list[Promise]:
        """The promises that a session must not delay.

        Those of all that were tried before it. Conservatively also those of others behind it: of all,
        where it was promised something itself, else of its own priority and above. It may have stood
        behind the first of its line when they were made.
        """
        tried = self._cycle.active
        if self._kind is not Backfill.CONSERVATIVE:
            return list(tried)
        own = self._standing.get(session.request.id)
        return tried + [
            p
            for p in self._standing.values()
            if p is not own
            and p not in tried
            and (own is not None or p.session.priority >= session.priority)
        ]

    def _beside(
        self,
        session: WaitingSession,
        attempt: Attempt,
        respected: Sequence[Promise],
        ends_ms: int,
    ) -> Placement | None:
        """Place it; take it back and hide the agents where it would delay a promise, until it does not."""
        request = session.request.id
        hidden: frozenset[int] = frozenset()
        if respected:
            hidden = self._cycle.hidden.get(request, hidden)
        found: Placement | None = None
        for tried in range(len(self._agents) + 1):
            self._hide(hidden)
            found = attempt()
            crowded = self._vacancy.crowded(found, respected, ends_ms) if found else ()
            if not crowded:
                break
            if found is not None:
                self._take_back(found)
                found = None
            agents = crowded if tried < _TAKEN_BACK else {a for p in respected for a in p.agents}
            indices = (self._agents.index_of(agent) for agent in agents)
            hidden = hidden.union(index for index in indices if index is not None)
        if hidden:
            self._cycle.hidden[request] = hidden
        return found

    def _as_promised(self, own: Promise, session: WaitingSession) -> Placement | None:
        """Exactly as promised, where its mode finds nothing by itself now: it need not be so clever twice."""
        self._unshield()
        endpoint = session.request.constraints.endpoint
        bindings: list[KernelAgentBinding] = []
        for hold in own.holds:
            index = self._agents.index_of(hold.agent)
            bound = self._vacancy.bound_now(hold)
            if index is None or bound is None:
                for binding in bindings:
                    self._agents.give(binding.agent, binding.slots, endpoint)
                return None
            boot = self._agents.rows[index].data.boot
            for kernel, slots in zip(hold.kernels, bound, strict=True):
                bindings.append(KernelAgentBinding(kernel, hold.agent, boot, slots))
                self._agents.take(hold.agent, slots, endpoint)
        return Placement(session, tuple(sorted(bindings, key=lambda b: b.kernel)))

    def _take_back(self, placement: Placement) -> None:
        endpoint = placement.session.request.constraints.endpoint
        for binding in placement.bindings:
            self._agents.give(binding.agent, binding.slots, endpoint)

    def _placed(self, placement: Placement, respected: Sequence[Promise], ends_ms: int) -> None:
        self._hold(placement, ends_ms)
        self._give_up(placement.session.request.id)
        there = {p for b in placement.bindings for p in self._vacancy.promises_on(b.agent)}
        self._doubtful |= any(promise not in respected for promise in there)

    def _hold(self, placement: Placement, ends_ms: int) -> None:
        self._releases.hold(placement.session.id, ends_ms, placement.bindings)

    def _promise(self, asked: Asked) -> Promise | None:
        """What it is promised: as before while that holds, unless there is something earlier."""
        cycle, request = self._cycle, asked.session.request.id
        old = self._standing.get(request)
        if old is not None and request in cycle.roused and old.session is asked.session:
            return old  # nothing ended since, and no doubt was left
        if old is not None and not self._vacancy.holds(old, cycle.active):
            self._give_up(request)
            cycle.freed |= request in cycle.roused
            old = None
        if old is not None:
            old.session = asked.session
            if cycle.now_ms - old.made_ms < RENEW_MS or request in cycle.roused:
                return old
            old.made_ms = cycle.now_ms
        new = self._look(asked)
        if new is None or (old is not None and old.at_ms <= new.at_ms):
            return old
        self._give_up(request)
        self._standing[request] = new
        self._vacancy.add(new)
        cycle.hidden.clear()
        # Those behind it were promised theirs before this was.
        self._doubtful = True
        return new

    def _look(self, asked: Asked) -> Promise | None:
        cycle, request = self._cycle, asked.session.request.id
        looked_ms = self._hopeless.get(request)
        if looked_ms is not None and cycle.now_ms - looked_ms < _HOPELESS_MS:
            return None
        if cycle.looks >= _LOOKS or cycle.hopeless >= _HOPELESS_LOOKS:
            return None
        where = (self._agents, self._releases)
        taken = [(p.ends_ms, p.kernels) for p in self._respected(asked.session)]
        found = self._foresight.earliest(asked, cycle.now_ms, where, taken)
        if self._foresight.tried:
            cycle.looks += 1
        else:
            cycle.hopeless += 1
        if found is None:
            if len(self._hopeless) >= _REMEMBERED:
                self._hopeless.clear()
            self._hopeless[request] = cycle.now_ms
            return None
        self._hopeless.pop(request, None)
        at_ms, placement = found
        return promise_of(placement, at_ms, cycle.now_ms)

    def _give_up(self, request: str) -> None:
        promise = self._standing.pop(request, None)
        if promise is not None:
            self._vacancy.remove(promise)
            self._cycle.hidden.clear()

    def _held_back(self, hidden: frozenset[int]) -> Failure:
        names = sorted(self._agents.agent_id(index) for index in hidden)
        whose = {p.session.id for a in names for p in self._vacancy.promises_on(a)}
        told = ", ".join(sorted(whose)[:_NAMED]) or "others"
        return Failure(BACKFILL, f"room is reserved for session {told}", (Cure(ROOM, _CURE),))

    def _hide(self, indices: frozenset[int]) -> None:
        if indices != self._shielded:
            self._unshield()
            self._shield.enter_context(self._agents.hiding(sorted(indices)))
            self._shielded = indices

    def _unshield(self) -> None:
        self._shield.close()
        self._shielded = frozenset()
