"""What a leader does by the clock: timers, beats, dependents, a slow sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scheduler.cycle.snapshot import AGENTS, scope_event
from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.clock import Clock
from scheduler.domain.ids import SessionId, is_graph_id
from scheduler.domain.moves import Kill, Mark, Renumber, Resolve, Settle, Tell, Unroll
from scheduler.domain.session import SessionData
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake import decide
from scheduler.intake.decide import Rules
from scheduler.jobs.timeout_manager import TimeoutManager
from scheduler.leader.graphs import GraphChores
from scheduler.leader.inbox import Inbox
from scheduler.leader.orders import OrderBook
from scheduler.leader.reports import ReportsIntake
from scheduler.leader.returning import Returning
from scheduler.leader.settling import Settling
from scheduler.leader.state import (
    LeaderState,
    Repositories,
    load_agents,
    load_scopes,
    look_aside,
    reload_placed,
)
from scheduler.leader.watch import Watch
from scheduler.leader.writer import Batch, Writer
from scheduler.observability.logs import get_logger
from scheduler.protocol.names import parse_order_id
from scheduler.store.schema import ServerFacts

#: Submits are refused from here on, so that what runs can still report (architecture 6).
FULL_PERCENT = 80
#: Ended sessions whose dependents are told in one script, and dependents of all of them together: 64
#: that become READY take Redis 4 to 5 ms of its CPU on a busy machine.
_PARENTS, _DEPENDENTS = 50, 64
#: Redis' clock and ours may differ by this much from one look to the next.
CLOCK_STEP_MS = 2_000
_NOT_UP = (KernelState.ORDERED, KernelState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one term that chores work with."""

    state: LeaderState
    repositories: Repositories
    writer: Writer
    rules: Rules
    orders: OrderBook
    watch: Watch
    reports: ReportsIntake
    inbox: Inbox
    timeouts: TimeoutManager
    graphs: GraphChores


class Chores:
    """The leader's clockwork; ``now_ms`` is Redis' time as last read."""

    def __init__(
        self,
        parts: Parts,
        clock: Clock,
        facts: Callable[[], ServerFacts],
    ) -> None:
        self._p = parts
        self._clock = clock
        self._facts = facts
        self._full: str | None = None
        self._avoided: dict[str, int] = {}
        self._looked: tuple[int, float] | None = None
        self._settling: Settling | None = None
        self._returning = Returning()
        self._identity = ""
        self.now_ms = 0
        term = parts.repositories.leader.term
        self._group = term.group
        self.timeouts = parts.timeouts
        self._log = get_logger(group=term.group, term=term.number)

    @property
    def holding(self) -> bool:
        """Whether placing is held back until the agents were heard after a change of Redis."""
        return self._settling is not None

    def timers(self, *, caught_up: bool) -> bool:
        """Look at sessions whose time has come; whether there are more.

        Until all reports were read, placed sessions are left alone: that an order was claimed, or a
        kernel came up, while no leader lived is still to be heard; or, where reports were lost, to
        be learned from beats.
        """
        due = self.timeouts.due()
        self.now_ms = self.timeouts.now_ms
        if not due:
            return False
        batch, waiting = Batch(), []
        for session in due:
            placed = self._p.state.board.get(session)
            if placed is None:
                waiting.append(session)
            elif caught_up and not self.holding:
                if placed.state is SessionState.SCHEDULED:
                    self._avoid(placed.agents)
                self._p.writer.accept(batch, placed, decide.timer(placed, self._p.rules))
        self._flush_cancelled_sessions(batch, waiting)
        self._p.writer.write(batch)
        return bool(batch.moves)

    def _flush_cancelled_sessions(self, batch: Batch, waiting: Sequence[str]) -> None:
        """End what waited for longer than its group allows, and let go on what waited for a time (seed 001, 7)."""
        found = {data.id: data for data in self._p.repositories.sessions.many(waiting)}
        for session in waiting:
            self._due(batch, session, found.get(SessionId(session)))

    def _due(self, batch: Batch, session: str, data: SessionData | None) -> None:
        """The time of a session has come that is on no agent, as far as is known."""
        move = self.timeouts.handle_timeout(session, data)
        if move is None:
            if session not in self._p.state.broken:
                reload_placed(self._p.state, self._p.repositories, [session])
            return
        batch.add([move], session)
        if move.edge == "expire":
            self._p.state.waiting.discard(session)

    def _avoid(self, agents: Iterable[str]) -> None:
        """It let an order lie although it beats: what is placed next goes elsewhere for a while."""
        for agent in agents:
            self._avoided[agent] = self.now_ms + 2 * self._p.state.options.claim_timeout_ms
            self._p.state.agents.avoid(agent, avoided=True)

    def _trust_again(self) -> None:
        for agent in [agent for agent, until in self._avoided.items() if until <= self.now_ms]:
            del self._avoided[agent]
            self._p.state.agents.avoid(agent, avoided=False)
            self._p.state.waiting.wake(AGENTS)

    def resolve(self) -> bool:
        """Tell dependents of ended sessions, and show graphs, in bounded steps; whether there are more."""
        parents = self._p.repositories.leader.unresolved(limit=_PARENTS)
        batch = Batch()
        for parent in parents:
            tell = Unroll if is_graph_id(parent) else Resolve
            batch.add([tell(parent, self._group, _DEPENDENTS)])
        words = self._p.writer.write(batch)
        self._p.inbox.unresolved = bool(parents) and ("more" in words or len(parents) == _PARENTS)
        return self._p.inbox.unresolved

    def beats(self, *, caught_up: bool) -> None:
        """Look at the agents' beats."""
        state, batch = self._p.state, Batch()
        self._trust_again()
        self._mind_the_clock()
        agents = [row.data for row in state.agents.rows if row.data.boot]
        beats = self._p.repositories.agents.beats([agent.id for agent in agents])
        seen = self._p.watch.look(agents, beats, self.now_ms)
        state.beats = beats
        for agent in seen.silent:
            batch.add([Mark(agent.id, agent.boot, AgentStatus.NOT_READY, "its beats stopped")])
        back, stray = self._returning.look(seen.alive, self._p.watch, state.board)
        for agent, order in stray if caught_up else ():
            self._kill(batch, agent, order)
        back = [*seen.back, *(back if caught_up else ())]
        for agent in back:
            batch.add([Mark(agent.id, agent.boot, AgentStatus.READY, "it beats again")])
        if seen.storm:
            says = f"{seen.storm} of {len(agents)} agents fell silent at once; nothing is rescued for now"
            self._log.error("agents.storm", says=says)
            batch.add([Tell(self._group, "agents.storm", says)])
        for agent in seen.lost:
            why = f"agent {agent.id} was silent past its lease"
            self._log.warning("agent.lost", agent=agent.id)
            self._p.reports.lose(batch, agent, why, kept=False)
            batch.add([Mark(agent.id, agent.boot, AgentStatus.LOST, why)])
        changed = [agent.id for agent in (*seen.silent, *back, *seen.lost)]
        if caught_up and self._settling is not None:
            self._learn(batch, self._settling.heard(agents, self._p.watch))
            for agent, order in self._settling.to_kill(agents, self._p.watch, state.board):
                self._kill(batch, agent, order)
        elif caught_up:
            self._find_missing(batch, agents)
        self._p.writer.write(batch)
        if changed:
            load_agents(state, self._p.repositories, changed)
        self._p.reports.reconsider()

    def _mind_the_clock(self) -> None:
        """Where Redis' clock was put forward, beats look old that are not: silence counts from now on."""
        now = self._clock.monotonic()
        if self._looked is not None:
            redis_ms, ours_s = self._looked
            step = (self.now_ms - redis_ms) - (now - ours_s) * 1000
            if abs(step) > CLOCK_STEP_MS:
                self._log.warning("redis.clock_stepped", ms=round(step))
                self._p.watch.redis_restarted(self.now_ms)
        self._looked = (self.now_ms, now)

    def _find_missing(self, batch: Batch, agents: list[AgentData]) -> None:
        for agent in agents:
            sessions = self._p.state.board.on([agent.id])
            if not sessions and not self._p.watch.runs_something(agent):
                continue
            for session, kernel in self._p.watch.missing(agent, sessions):
                why = f"agent {agent.id} runs it no more, and reported no end"
                self._p.reports.confirm_missing(batch, session.id, kernel.index, why)
            for order in self._p.watch.strays(agent, sessions):
                self._kill(batch, agent, order)

    def _learn(self, batch: Batch, heard: Iterable[Beat]) -> None:
        """A kernel that runs was claimed and came up, though the reports of it were lost."""
        for beat in heard:
            for named in filter(None, map(parse_order_id, beat.running)):
                session = self._p.state.board.get(named.session)
                if session is None or not self._p.state.board.knows(str(named)):
                    continue
                kernel = session.kernels[named.kernel]
                if kernel.boot == beat.boot and kernel.state in _NOT_UP:
                    self._p.writer.accept(batch, session, decide.up(session, kernel, self._p.rules))

    def _kill(self, batch: Batch, agent: AgentData, order: str) -> None:
        stop = self._p.orders.stop_unknown(agent.id, agent.boot, order)
        if stop is not None:
            self._log.warning("order.stray", agent=agent.id, order=order)
            batch.add([Kill(agent.id, order, stop)])

    def server(self) -> str:
        """Memory, and whether Redis was restarted or replaced; the identity of this one.

        Noted is the last Redis on which placing went on: a leader that dies while it is held leaves
        the hold to its successor.
        """
        facts = self._facts()
        percent = 100 * facts.used_memory // facts.max_memory if facts.max_memory else 0
        full = str(percent) if percent >= FULL_PERCENT else ""
        before, now = self._p.inbox.server, facts.identity
        if before and now not in (before, self._identity):
            self._redis_changed(facts)
        self._identity = now
        if full != self._full or not before:
            if full or self._full:
                says = "refused" if full else "admitted"
                self._log.warning("redis.memory", used_percent=percent, submits=says)
            # At the beginning of a term, too: the last one may have left "full" behind.
            self._full = self._p.inbox.full = full
            self._p.inbox.server = before or now
            self._p.writer.write(self._p.inbox.reach())
        return now

    def _redis_changed(self, facts: ServerFacts) -> None:
        """Redis was restarted, or a replica took its place: hear every agent before placing again."""
        self.now_ms = self._p.repositories.leader.now_ms()
        agents = [row.data for row in self._p.state.agents.rows]
        silence, grace = (
            self._p.watch.not_ready_after_ms,
            max((a.grace_ms for a in agents), default=0),
        )
        at_least_ms = silence + grace if facts.was_replica else 0
        self._log.warning(
            "redis.changed",
            failover=facts.was_replica,
            then="placing is held until it is known what every agent runs, or its lease is over",
        )
        self._p.watch.redis_restarted(self.now_ms)
        before = self._p.repositories.agents.beats([agent.id for agent in agents])
        self._settling = Settling(self.now_ms, before, at_least_ms)
        batch = Batch()
        batch.add([Renumber(self._group, facts.identity)])
        self._p.writer.write(batch)

    def hold_over(self) -> bool:
        """Whether placing may go on; looks only while it is held."""
        if self._settling is None:
            return True
        state = self._p.state
        agents = [row.data for row in state.agents.rows]
        if not self._settling.over(agents, self._p.watch, state.board, self.now_ms):
            return False
        self._settling, self._p.inbox.server = None, self._identity
        self._p.writer.write(self._p.inbox.reach())
        self._log.info("redis.settled")
        return True

    def refuse_unplaceable(self) -> None:
        """End the READY sessions that nobody can place any more: they would wait for ever."""
        state, batch = self._p.state, Batch()
        doomed, state.unplaceable = state.unplaceable, {}
        session, why = next(iter(doomed.items()))
        self._log.error("sessions.unplaceable", sessions=len(doomed), first=session, why=why)
        for session, why in doomed.items():
            batch.add([Settle(session, self._group, "refuse", why)])
        words = self._p.writer.write(batch)
        state.aside |= {s for s, word in zip(doomed, words, strict=True) if word != "done"}

    def sweep(self) -> bool:
        """The safety net: look at everything that sleeps; whether the queue must be loaded anew."""
        state, leader = self._p.state, self._p.repositories.leader
        self._look_at_scopes()
        if state.aside:
            look_aside(state, self._p.repositories)
        state.waiting.wake_all()
        self._p.inbox.unresolved = True
        batch = Batch()
        batch.add(self._p.graphs.sweep())
        self._p.writer.write(batch)
        leader.trim_inbox(state.inbox_cursor)
        listed = len(state.waiting) + len(state.aside) + len(state.unplaceable)
        return state.all_loaded and leader.ready_count() != listed

    @property
    def healing(self) -> bool:
        """Whether a round of what waits for dependencies is under way."""
        return self._p.graphs.under_way

    def heal(self) -> bool:
        """Go on with that round, if it is time; whether something was put right, as more may be."""
        batch = Batch()
        batch.add(self._p.graphs.go_on())
        self._p.writer.write(batch)
        return bool(batch.moves)

    def _look_at_scopes(self) -> None:
        """Scopes that refuse may be held by sessions of other groups, whose ends nobody tells us."""
        state, scopes = self._p.state, self._p.state.snapshot.scopes
        refusing = [scope for scope in scopes if state.waiting.waits_for(scope_event(*scope))]
        load_scopes(state, self._p.repositories, sorted(refusing))
        for idle in [scope for scope, use in scopes.items() if use.idle]:
            del scopes[idle]
