"""Runs cycles: propose on the snapshot, commit, put right what the commit refused, remember verdicts."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scheduler.cycle.placing import never_fits, word_no_room
from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.reservations import BACKFILL
from scheduler.cycle.scheduler import NO_ROOM, Policy, propose, withdraw
from scheduler.cycle.snapshot import AGENTS
from scheduler.cycle.waiting import Line, WaitingSession
from scheduler.domain.moves import Note, Settle
from scheduler.domain.verdict import Failure, Verdict
from scheduler.intake.board import PlacedSession
from scheduler.leader.keeping import Keeper
from scheduler.leader.orders import OrderBook
from scheduler.leader.shadowing import Shadowing
from scheduler.leader.state import LeaderState, Repositories, load_agents, load_scopes
from scheduler.leader.writer import BATCH, Batch, Writer
from scheduler.observability.logs import get_logger
from scheduler.store.placing import Applying

#: Placements of each commit of a turn, after which reports and requests are heard again. Fifty stay within
#: 10 ms of Redis on a busy machine. The last commit is waited for with nothing else to do, so it is small.
_TURN = (50, 50, 50, 30, 20)
#: Commits that Redis was sent behind the one whose answer is waited for.
_BEHIND = 1
#: The same refusal is noted again after this, for `tries` and `last_at`.
_NOTE_AGAIN_MS = 5_000
#: What a selector raises is logged again after a minute; of so many sentences it is remembered when.
_TELL_AGAIN_MS, _FAULTS = 60_000, 100


@dataclass(frozen=True, slots=True)
class Commit:
    """A plan whose placements are to be committed, and the sessions as they will be."""

    plan: Plan
    placed: list[PlacedSession]
    applying: Applying | None
    words: list[str] = field(default_factory=list)  #: what became of each placement

    def send(self) -> None:
        """Let Redis commit it."""
        if self.applying is not None:
            self.applying.send()

    def hear(self) -> None:
        """Wait for the words. Raises Deposed, StoreUnavailable."""
        if self.applying is not None:
            self.words.extend(self.applying.words())

    def give_up(self) -> None:
        """Wait until nothing is under way any more, and look at nothing."""
        if self.applying is not None:
            self.applying.give_up()


@dataclass(slots=True)
class CycleCounts:
    """What cycles did in this term."""

    cycles: int = 0
    placed: int = 0
    refused: int = 0
    stale: int = 0
    causes: Counter[str] = field(default_factory=Counter)  #: refusals by the rule that refused


class SchedulerDispatcher:
    """Calls the scheduler of one group (seed 000, 8.1)."""

    def __init__(  # noqa: PLR0913 - the parts of one term
        self,
        state: LeaderState,
        repositories: Repositories,
        writer: Writer,
        policy: Policy,
        orders: OrderBook,
        now_ms: Callable[[], int],
        shadow: Shadowing,
    ) -> None:
        self._state = state
        self._repositories = repositories
        self._writer = writer
        self.policy = policy
        self._orders = orders
        self._now_ms = now_ms
        self._group = repositories.leader.term.group
        self.shadow = shadow
        kept = repositories.leader.kept
        self._selectors = Keeper(self._group, kept, "selector")
        self._selectors.hand_over(policy.selector)
        self._schedulers = Keeper(self._group, kept, "scheduler")
        self._schedulers.hand_over(policy.scheduler)
        self._log = get_logger(group=self._group, term=repositories.leader.term.number)
        #: What was noted of a kind of request, and when; None: nothing is noted in Redis.
        self._noted: dict[str, tuple[Verdict | None, int] | None] = {}
        self._inherited = False  #: whether what former terms noted is in there, too
        self._faults: dict[str, int] = {}  #: what a plugin raised, and when that was told last
        self._broken = ""  #: why the policy cannot go on, as it was told last
        self.counts = CycleCounts()

    def run_once(self) -> bool:
        """A few cycles; whether there is more to do at once.

        The next batch is decided, signed and packed while Redis commits the last one, and sent behind it
        over the same connection: all are placed in the order in which they were chosen, and Redis finds
        its next work where it ended the last. The snapshot holds what was decided already; so where a commit
        refuses, what was decided after it counted on less room than there is, and each placement is checked
        again by its own commit. What was refused is put right once none is under way.
        """
        self._state.snapshot.now_ms = self._now_ms()
        stale: list[tuple[Placement, str]] = []
        under_way: deque[Commit] = deque()
        more = False
        try:
            for limit in _TURN:
                other = self.shadow.propose(limit=limit)
                plan = propose(self._state.snapshot, self.policy, limit=limit)
                if other is not None:
                    self.shadow.compare(plan, other, self.policy)
                if not (plan.placements or plan.refusals or plan.impossible):
                    more = plan.more
                    break
                self.counts.cycles += 1
                self._tell_broken(plan)
                commit = self._pack(plan)
                under_way.append(commit)
                commit.send()
                if len(under_way) > _BEHIND:
                    stale += self._settle(under_way)
                more = plan.more or bool(plan.impossible)
                if not plan.more:
                    break
            while under_way:
                stale += self._settle(under_way)
        finally:
            # Whatever went wrong: nobody may read the picture anew while a commit is under way.
            for commit in under_way:
                commit.give_up()
        if stale:
            self._put_right(stale)
        self._tell_shadow()
        return more

    def _tell_shadow(self) -> None:
        batch = Batch()
        batch.add(self.shadow.due())
        self._writer.write(batch)

    def _tell_broken(self, plan: Plan) -> None:
        now_ms = self._now_ms()
        for said, error in plan.faults.items():
            # Each kind of request that waits meets it, in each sweep.
            if now_ms - self._faults.get(said, -_TELL_AGAIN_MS) >= _TELL_AGAIN_MS:
                if len(self._faults) >= _FAULTS:
                    self._faults.clear()
                self._faults[said] = now_ms
                self._log.error("policy.broken", says=said, exc_info=error)
        why = plan.broken
        if why and why != self._broken:
            self._log.error("policy.broken", says=why, then="it is asked again each sweep")
        self._broken = why

    def _pack(self, plan: Plan) -> Commit:
        timeout, now = self._state.options.claim_timeout_ms, self._state.snapshot.now_ms
        written = [self._orders.place(placement, timeout, now) for placement in plan.placements]
        applying: Applying | None = None
        if written:
            now, policy = self._now_ms(), self.policy
            keeps = [
                *self._selectors.due(policy.selector, now),
                *self._schedulers.due(policy.scheduler, now),
            ]
            applying = self._writer.pack_place([move for move, _ in written], keeps)
        return Commit(plan, [placed for _, placed in written], applying)

    def _settle(self, under_way: deque[Commit]) -> list[tuple[Placement, str]]:
        """Wait for the first of them and take in what it answered; the placements that it refused."""
        commit = under_way[0]
        commit.hear()
        under_way.popleft()
        stale: list[tuple[Placement, str]] = []
        plan, log = commit.plan, self._log.bind()
        for placement, placed, word in zip(
            plan.placements, commit.placed, commit.words, strict=True
        ):
            if word in ("placed", "already"):
                self._state.board.put(placed)
                log.debug("session.placed", session=placed.id, agents=placed.agents)
            else:
                stale.append((placement, word))
        self.counts.placed += len(plan.placements) - len(stale)
        self._refuse(plan)
        self._note(plan)
        return stale

    def _put_right(self, stale: list[tuple[Placement, str]]) -> None:
        """What was assumed was not so any more: correct the snapshot, let the sessions wait again."""
        self.counts.stale += len(stale)
        for placement, word in stale:
            self._log.info("placement.stale", session=placement.session.id, why=word)
            withdraw(self._state.snapshot, placement)
        agents = {b.agent for placement, _ in stale for b in placement.bindings}
        scopes = {scope for placement, _ in stale for scope in placement.session.request.scopes}
        load_agents(self._state, self._repositories, sorted(agents))
        load_scopes(self._state, self._repositories, sorted(self._state.snapshot.scope_use(scopes)))
        still = {
            w.id
            for w in self._repositories.leader.waiting(
                [placement.session.id for placement, _ in stale]
            )
        }
        for placement, _ in stale:
            if placement.session.id in still:
                self._state.waiting.add(placement.session)

    def _refuse(self, plan: Plan) -> None:
        """End sessions that could run on no agent of the group, ever."""
        doomed: list[tuple[WaitingSession, str]] = plan.impossible[:BATCH]
        if doomed:
            batch = Batch()
            for session, why in doomed:
                batch.add(
                    [Settle(session.id, self._group, "refuse", f"it can never run here: {why}")]
                )
                self._state.waiting.discard(session.id)
            self._writer.write(batch)
        if len(plan.impossible) > BATCH:
            # Their line sleeps like any other: look at the rest in the next cycle.
            self._state.waiting.wake(AGENTS)

    def _note(self, plan: Plan) -> None:
        """Note refusals that are news, and forget those of requests that were placed."""
        self.counts.refused += len(plan.refusals)
        self.counts.causes.update(f.by for v in plan.refusals.values() for f in v.failures)
        now, batch = self._now_ms(), Batch()
        for placement in plan.placements:
            request = placement.session.request.id
            # A former term may have noted one: unknown is forgotten, too.
            if request not in plan.refusals and self._noted.get(request, ()) is not None:
                batch.add([Note(self._group, request, "")])
                self._noted[request] = None
        for request, verdict in plan.refusals.items():
            line, noted = self._state.waiting.line(request), self._noted.get(request)
            if line is not None and not (
                noted and noted[0] == verdict and now - noted[1] < _NOTE_AGAIN_MS
            ):
                batch.add([Note(self._group, request, self._text(verdict, line))])
                self._noted[request] = (verdict, now)
        self._writer.write(batch)

    def forget_notes(self) -> None:
        """Forget what was noted of requests that nobody waits with any more."""
        if not self._inherited and self._state.all_loaded:
            # Their kind of request may never come again, and its session may be gone for long.
            for request in self._repositories.leader.noted():
                self._noted.setdefault(request, (None, 0))
            self._inherited = True
        batch = Batch()
        for request, noted in list(self._noted.items()):
            if self._state.waiting.line(request) is None:
                del self._noted[request]
                if noted is not None:
                    batch.add([Note(self._group, request, "")])
        self._writer.write(batch)

    def _text(self, verdict: Verdict, line: Line) -> str:
        promise = self._state.snapshot.reservations.of(line.request.id)
        failures = [
            {
                "by": failure.by,
                "reason": self._reason(failure, line),
                "cures": self._cures(failure, line),
            }
            for failure in verdict.failures
        ]
        noted: dict[str, Any] = {
            "failures": failures,
            "tries": line.tries,
            "last_at": self._now_ms(),
        }
        if promise is not None:
            first = promise.session.id
            noted["expected"] = {"session": first, "at": promise.at_ms, "says": promise.says}
        return json.dumps(noted)

    def _cures(self, failure: Failure, line: Line) -> list[str]:
        # Where no agent has it even when idle, no end of a kernel makes room; only a group that grows lets it wait.
        if (
            failure.by == NO_ROOM
            and self.policy.grows
            and never_fits(line.needs, self._state.agents)
        ):
            return ["an agent joins that has it: even idle no agent of the group has, and it grows"]
        return [cure.says for cure in failure.cures]

    def _reason(self, failure: Failure, line: Line) -> str:
        """Why, as it is now: these two are worded only when they are noted."""
        if failure.by == NO_ROOM:
            return word_no_room(line.needs, self._state.agents)
        if failure.by == BACKFILL:
            found = self._state.snapshot.reservations.word_held_back(line.request.id, line.needs)
            return found or failure.reason
        return failure.reason

    def change_policy(self, policy: Policy) -> None:
        """Go on with other plugins or options."""
        self._selectors.hand_over(policy.selector, self.policy.selector)
        self._schedulers.hand_over(policy.scheduler, self.policy.scheduler)
        self.policy = policy
        self._state.waiting.rank_anew(policy.scheduler.rank)
        self._state.waiting.wake_all()
