"""One term of one group: load, then listen, apply, look at the clock, place, until it is over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import redis

from scheduler.cycle.scheduler import NO_HOOKS, Policy
from scheduler.domain.clock import Clock
from scheduler.domain.errors import Deposed, InvalidInput
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.moves import Tell
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.term import Term
from scheduler.intake.decide import DEADLINE_SLACK_MS, Rules
from scheduler.jobs.execution_queue import ExecutionQueue
from scheduler.jobs.timeout_manager import TimeoutManager
from scheduler.leader.chores import Chores, Parts
from scheduler.leader.dispatcher import SchedulerDispatcher
from scheduler.leader.graphs import PAUSE_S, GraphChores
from scheduler.leader.inbox import Inbox
from scheduler.leader.orders import OrderBook
from scheduler.leader.policies import load_policy
from scheduler.leader.positioning import Positioning
from scheduler.leader.profiling import Profiling
from scheduler.leader.reports import ReportsIntake
from scheduler.leader.rq_job import template
from scheduler.leader.shadowing import Shadowing
from scheduler.leader.state import (
    Repositories,
    load,
    load_offices,
    load_ready_anew,
    load_ready_page,
    load_scopes,
)
from scheduler.leader.tallying import Tallying
from scheduler.leader.unusable import unusable
from scheduler.leader.usage import UsageReader
from scheduler.leader.watch import Watch, WatchRules
from scheduler.leader.writer import Writer
from scheduler.observability.logs import get_logger
from scheduler.service.starting import without_gc
from scheduler.store.agents import AgentRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeaderStore
from scheduler.store.offices import OfficeRepository
from scheduler.store.profiles import ProfileRepository
from scheduler.store.schema import ServerFacts, server_facts
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.use import UseRepository

#: Entries heard at once. An agent's may hold 50 reports: of 5,000 the last is applied within a second.
_REPORTS_PER_BATCH = 100
_TIMERS_EVERY_S, _BEATS_EVERY_S, _SERVER_EVERY_S = 0.1, 1.0, 1.0
_USAGE_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class ReignSettings:
    """What a term is told. Times in ms."""

    secret: str
    namespace: str
    watch: WatchRules
    sweep_ms: int
    retry_initial_ms: int


class Every:
    """Says when something that is done by the clock is due again."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = 0.0

    def due(self) -> bool:
        """Whether it is due now; if so, it is due again after the interval."""
        now = self._clock.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Reign:
    """Leads one group while its term lasts. Not thread-safe: one thread runs it."""

    def __init__(
        self,
        term: Term,
        clients: tuple[redis.Redis, redis.Redis],
        settings: ReignSettings,
        clock: Clock,
        trusted: Callable[[], bool],
    ) -> None:
        client, blocking = self._client, self._blocking = clients
        keys = Keys(settings.namespace)
        self.term = term
        self._settings = settings
        self._clock = clock
        self._trusted = trusted
        self._groups = GroupRepository(client, keys)
        self._repositories = Repositories(
            LeaderStore(client, blocking, keys, term),
            SessionRepository(client, keys, clock),
            AgentRepository(client, keys),
            ScopeRepository(client, keys),
            OfficeRepository(client, keys),
            UseRepository(client, keys),
        )
        self._log = get_logger(group=term.group, term=term.number, replica=term.holder)
        profiles = ProfileRepository(client, keys)
        self._profiling = Profiling(term.number, clock, profiles.put, self._log)
        self._timers = Every(_TIMERS_EVERY_S, clock)
        self._beats = Every(_BEATS_EVERY_S, clock)
        self._server = Every(_SERVER_EVERY_S, clock)
        self._usage_again = Every(_USAGE_EVERY_S, clock)
        self._sweep = Every(settings.sweep_ms / 1000, clock)
        self._redis = ""  #: the one that was loaded from
        self._busy = True
        self._paused = ""  #: why nothing new is placed
        self._caught_up = False
        self._timers_known = False  #: whether nothing was written since timers were read
        self._looked_again = False

    def load(self) -> None:
        """Read what the term begins with, or goes on with after Redis did not answer.

        Where its options cannot be used here, nothing is placed, and the rest goes on.
        Raises StoreUnavailable.
        """
        self._tallying = Tallying(
            self.term.group, self.term.number, self._groups.tally(self.term.group)
        )
        while True:
            self._redis = self._facts().identity
            group = self._groups.read(self.term.group)
            self._paused, policy = group.paused, self._policy(group.options)
            with without_gc():
                self._state = load(self._repositories, group.options, policy.scheduler)
            self._assemble(policy)
            # Before anything is placed; and nothing may be put together from two servers. Options that
            # changed before the inbox was listened to are told by nobody.
            whole = self.chores.server() == self._redis
            if whole and self._groups.read(self.term.group) == group:
                break
        self._read_usage()
        self._busy, self._caught_up = True, False
        self._tallying.woken("load")
        self._log.info(
            "leader.loaded",
            placed=len(self._state.board),
            waiting=len(self._state.waiting),
            agents=len(self._state.agents),
        )

    def _policy(self, options: ScalingGroupOpts) -> Policy:
        try:
            return load_policy(options)
        except InvalidInput as error:
            self._log.error(
                "group.unusable", says=str(error), then="nothing is placed until that is put right"
            )
            return unusable(error)

    def _assemble(self, policy: Policy) -> None:
        state, repositories = self._state, self._repositories
        orders = OrderBook(
            self._settings.secret, self._settings.namespace, self.term.group, self._address_of
        )
        self._rules = rules = Rules(
            barrier_ms=state.options.barrier_timeout_ms,
            max_rescues=state.options.max_rescues,
            queue=ExecutionQueue(
                self._repositories,
                RetryPolicy(initial_ms=self._settings.retry_initial_ms),
                random.random,
            ),
            stop_order=orders.stop,
        )
        writer = Writer(state, repositories, rules, template(self._settings.namespace))
        watch = Watch(self._settings.watch, self.term.number)
        self.reports = ReportsIntake(state, repositories, writer, rules, orders, watch)
        timeouts = TimeoutManager(self.term.group, repositories.leader, DEADLINE_SLACK_MS)
        self.inbox = Inbox(
            *(state, repositories, writer, rules, self.reports),
            set_timer=lambda placed: timeouts.set_timer(placed, orders.deadline(placed)),
        )
        keys = Keys(self._settings.namespace)
        graphs = GraphChores(self._client, keys, self._clock, self.term.group)
        parts = Parts(
            *(state, repositories, writer, rules, orders, watch, self.reports, self.inbox),
            timeouts=timeouts,
            graphs=graphs,
        )
        self.chores = Chores(
            parts,
            self._clock,
            self._facts,
        )
        self.dispatcher = SchedulerDispatcher(
            state,
            repositories,
            writer,
            policy,
            orders,
            lambda: self.chores.now_ms,
            Shadowing(
                self.term.group,
                state.snapshot,
                self._clock,
                lambda: self._groups.shadow(self.term.group),
            ),
        )
        self._usage = UsageReader(state, repositories)
        self._positioning = Positioning(self.term.group, state, self._clock)
        self.dispatcher.shadow.change(state.options, policy)
        # A term that ended between two scripts may have left sessions of which no report is to come.
        writer.conclude(state.board)
        for session in state.board:
            if session.cancel_requested and session.reason != "cancelled":
                self.inbox.cancel(session.id)
            elif session.own_timeout_ms is not None:
                self.inbox.change_timeout(session.id)

    def run_once(self) -> None:
        """One turn: hear, apply, look at the clock, place. Raises Deposed, StoreUnavailable, ResignationAsked."""
        if not self._trusted():
            raise Deposed(term=self.term.number, group=self.term.group)
        if not self._state.all_loaded:
            # Before what is heard: a pause, or options, told before these were submitted hold for them.
            load_ready_page(self._state, self._repositories)
            self._busy = True
        # Each by itself: `self._busy |= ...` would read it before it is set anew.
        busy = self._hear()
        self._timers_known &= not busy
        busy |= self._look_at_the_clock()
        if self.chores.hold_over() and not self._paused:
            if self._usage_again.due():
                self._read_usage()
            busy |= self._place()
        self._busy = busy
        if self._looked_again:
            # Whoever asked waits for this.
            self._repositories.leader.apply((), inbox=self._state.inbox_cursor)
            self._looked_again = False
        asked, self.inbox.profiles = self.inbox.profiles, []
        self._profiling.turn(asked)
        tally = self._tallying.due(self._clock.monotonic())
        if told := (*tally, *self._positioning.due(self.dispatcher.policy.scheduler)):
            self._repositories.leader.apply(told)

    def take_asked(self) -> Sequence[str]:
        """Offices that somebody asked to process since this was asked last."""
        asked, self.inbox.offices = self.inbox.offices, []
        return asked

    def look_again(self, office: str) -> None:
        """Decide the jobs of an office anew in the next turn, which comes at once."""
        state = self._state
        load_scopes(state, self._repositories, state.waiting.wake_office(office))
        self._tallying.woken("process")
        self._busy = self._looked_again = True

    def offices(self) -> set[str]:
        """Offices of which jobs wait or are placed."""
        waiting = {line.request.office for line in self._state.waiting.lines()}
        return waiting.union(s.request.office for s in self._state.board) - {""}

    def _place(self) -> bool:
        counts, began = self.dispatcher.counts, self._clock.monotonic()
        before = replace(counts, causes=Counter(counts.causes))
        more = self.dispatcher.run_once()
        took = self._clock.monotonic() - began
        self._tallying.ran(self.chores.now_ms, took, before, counts)
        self._timers_known &= before.placed == counts.placed
        return more

    def _hear(self) -> bool:
        state = self._state
        heard = self._repositories.leader.listen(
            state.inbox_cursor,
            state.reports_cursor,
            timeout=self._patience(),
            limit=_REPORTS_PER_BATCH,
        )
        self._caught_up = len(heard.reports) < _REPORTS_PER_BATCH
        if len(heard.inbox) == _REPORTS_PER_BATCH and self._repositories.leader.inbox_overran(
            state.inbox_cursor
        ):
            self._log.error("inbox.overran", then="everything is loaded anew")
            self._repositories.leader.apply(
                [Tell(self.term.group, "inbox.overran", "the leader fell behind and loads anew")]
            )
            self.load()
            return True
        kinds = {entry.fields["kind"]: None for entry in heard.inbox}
        for kind in ("reports", *kinds) if heard.reports else kinds:
            self._tallying.woken(kind)
        if "group" in kinds:
            # Before the reports: what was done after the options changed is judged by the new ones.
            self._reload_group()
        if offices := {e.fields["what"] for e in heard.inbox if e.fields["kind"] == "office"}:
            load_offices(state, self._repositories, offices)
        if heard.reports:
            self.reports.handle(heard.reports)
        if heard.inbox:
            self.inbox.handle(heard.inbox)
        return bool(heard.reports or heard.inbox)

    def _patience(self) -> float:
        """How long to wait for something to happen, s."""
        if self._busy or self.inbox.unresolved or not self._state.all_loaded:
            return 0.0
        if self.chores.healing:
            return PAUSE_S
        if not self._timers_known:
            return _TIMERS_EVERY_S
        next_timer = self.chores.timeouts.next_ms
        if next_timer is None:
            return _BEATS_EVERY_S
        return min(_BEATS_EVERY_S, max(_TIMERS_EVERY_S, (next_timer - self.chores.now_ms) / 1000))

    def _look_at_the_clock(self) -> bool:
        more = False
        if self._timers.due():
            more = self.chores.timers(caught_up=self._caught_up)
            self._timers_known = not more
        if self._server.due() and self.chores.server() != self._redis:
            # Connections found it so fast that no call failed: the picture is of the one before, and who
            # listens may still do so there, where nobody tells anything.
            self._blocking.connection_pool.disconnect()
            self.load()
        if self._beats.due():
            self.chores.beats(caught_up=self._caught_up)
        if self.inbox.unresolved:
            more |= self.chores.resolve()
        if self._sweep.due():
            self._tallying.woken("sweep")
            self.dispatcher.forget_notes()
            if self.chores.sweep():
                load_ready_anew(self._state)
        elif self.chores.healing:
            more |= self.chores.heal()
        if self._state.unplaceable:
            self.chores.refuse_unplaceable()
        return more

    def _reload_group(self) -> None:
        group = self._groups.read(self.term.group)
        self._paused, options = group.paused, group.options
        try:
            # A hook that hangs is known by where it is asked: hooks stay, as they have no options.
            asked = self.dispatcher.policy.hooks
            policy = load_policy(options, None if asked is NO_HOOKS else asked)
        except InvalidInput as error:
            # What runs must still be looked after: go on as before until the options are put right.
            self._log.error(
                "group.unusable", says=str(error), then="the options before it stay in force"
            )
            return
        self._state.options = options
        self._rules.barrier_ms, self._rules.max_rescues = (
            options.barrier_timeout_ms,
            options.max_rescues,
        )
        self.dispatcher.change_policy(policy)
        self.dispatcher.shadow.change(options, policy)
        self._read_usage()

    def _read_usage(self) -> None:
        self._usage.read(self.dispatcher.policy.scheduler.usage_days)

    def _address_of(self, agent: str) -> str:
        row = self._state.agents.get(agent)
        return row.data.address if row else ""

    def _facts(self) -> ServerFacts:
        return server_facts(self._client)
