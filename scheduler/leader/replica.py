"""A scheduler replica: stands in its groups, leads where it is elected."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis

from scheduler.domain.clock import Clock
from scheduler.domain.errors import Deposed, SchedulerError, StoreUnavailable
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.jobs.scheduler_loop import SchedulerLoop, Surroundings
from scheduler.leader.chore_worker import ChoreWorker
from scheduler.leader.elector import Elector, ElectorSettings, Tenure
from scheduler.leader.housekeeping import Housekeeping
from scheduler.leader.housework import Tools
from scheduler.leader.inbox import ResignationAsked
from scheduler.leader.reign import Reign, ReignSettings
from scheduler.notifications.callbacks import CallbackParts, CallbackRules, Callbacks
from scheduler.notifications.deliveries import Deliveries
from scheduler.notifications.delivery import DeliveryParts
from scheduler.notifications.redeliveries import RedeliveryRules
from scheduler.observability.logs import get_logger
from scheduler.observability.serving import health_facts
from scheduler.plugins.loading import check_installed
from scheduler.service.loop import Service
from scheduler.store import schema
from scheduler.store.callbacks import CallbackRepository
from scheduler.store.chores import ChoreRepository
from scheduler.store.connection import connect, connect_for_rq, speaking_to
from scheduler.store.durations import DurationRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.retention import RetentionRepository
from scheduler.store.retrying import NEVER, USUAL, RepeatPolicy
from scheduler.store.sessions import SessionRepository
from scheduler.store.subscribers import SubscriberRepository

#: After it was asked to resign a replica lets the others go first.
_ABSTAIN_S = 3.0
_HAND_OVER_S = 5.0
#: Without an answer of Redis for so long, and one renewal, a replica is not ready.
_SILENT_S = 3.0
#: A turn waits for a second at most, and decides 200 sessions: one that takes so long hangs, as in a plugin.
_SLOW_TURN_S = 10.0
#: A follower looks again in a tenth of a second anyway.
_ONCE_MORE = RepeatPolicy(times=1)


@dataclass(frozen=True, slots=True)
class ReplicaParts:
    """What a replica and its candidacies are told."""

    redis_url: str
    keys: Keys
    clock: Clock
    renew_s: float
    poll_s: float
    events_cap: int
    elector: ElectorSettings
    reign: ReignSettings
    retention_ms: int
    repeats: RepeatPolicy = USUAL  #: of commands that only read, or are safe to repeat
    callbacks: CallbackRules = field(default_factory=CallbackRules)
    redelivery: RedeliveryRules = field(default_factory=RedeliveryRules)


def tools_of(client: redis.Redis, parts: ReplicaParts) -> Tools:
    """What chores of a replica work with."""
    keys = parts.keys
    return Tools(
        SessionRepository(client, keys, parts.clock),
        RetentionRepository(client, keys),
        DurationRepository(client, keys),
        ChoreRepository(client, keys),
        SubscriberRepository(client, keys),
        CallbackRepository(client, keys),
        ScopeCounts(client, keys),
        parts.clock,
        parts.retention_ms,
        parts.redelivery,
    )


class Candidacy:
    """One replica in one group: a loop that stands, and a thread that leads while elected."""

    def __init__(self, group: str, replica: ReplicaParts) -> None:
        self._parts = replica
        self._group = group
        self._client = connect(replica.redis_url, policy=replica.repeats)
        self._blocking = connect(replica.redis_url, policy=NEVER)
        self._raw = connect_for_rq(replica.redis_url)
        self._standing = connect(replica.redis_url, policy=_ONCE_MORE)
        self._elector = Elector(
            group,
            replica.elector,
            LeadershipRepository(self._standing, replica.keys),
            replica.clock,
        )
        self._log = get_logger(group=group, replica=replica.elector.holder)
        self._turns: SchedulerLoop | None = None
        self._abstain_until = 0.0
        self._listener = 0
        self._loop = Service(f"stand-{group}", self._run_once)
        self.stopping = threading.Event()
        self._heard_at = replica.clock.monotonic()
        self._said = ""  #: what kept it from its work at last
        self._slow: float | None = None  #: when the turn began that was told to take too long

    def start(self) -> None:
        """Begin to stand."""
        self._loop.start()

    @property
    def leads(self) -> bool:
        """Whether it leads now, beyond doubt."""
        tenure = self._elector.tenure
        return tenure is not None and tenure.trusted()

    def _run_once(self) -> float:
        try:
            pause, heard = self._follow_or_renew()
        except StoreUnavailable as error:
            self._said = str(error)
            raise
        if heard:
            self._heard_at, self._said = self._parts.clock.monotonic(), ""
        return pause

    @property
    def why_not_ready(self) -> str:
        """A sentence about what keeps it from its work; empty where nothing does."""
        silent = self._parts.clock.monotonic() - self._heard_at
        if self._said or silent < _SILENT_S + self._parts.renew_s:
            return self._said or self._why_slow()
        return f"Redis has not answered for {silent:.0f} s."

    def _why_slow(self) -> str:
        turns = self._turns
        # Also where it lost the lock meanwhile: it cannot lead again before that turn is over.
        if turns is None or not turns.alive:
            return ""
        took = self._parts.clock.monotonic() - turns.turn_began
        if took < _SLOW_TURN_S:
            return ""
        return f"Its turn as leader of group {self._group} took {took:.0f} s so far."

    def _tell_slow(self, turns: SchedulerLoop) -> None:
        """Tell, once for each such turn, that it takes too long, and that it is over; others cost nothing."""
        began = turns.turn_began
        took = self._parts.clock.monotonic() - began
        slow = began if took >= _SLOW_TURN_S else None
        if slow == self._slow:
            return
        if slow is not None:
            self._log.error("leader.hangs", seconds=round(took), at=turns.stands_at)
        if self._slow is not None:
            self._elector.note_turn(0)
        if slow is not None:
            self._elector.note_turn(round(took * 1000))
        self._slow = slow

    def _follow_or_renew(self) -> tuple[float, bool]:
        """Seconds until the next time, and whether Redis answered."""
        if self.stopping.is_set():
            return 0.05, False
        if self._turns is not None:
            if self._turns.alive:
                heard = self._elector.renew()
                if heard:
                    self._tell_slow(self._turns)
                return self._parts.renew_s, heard
            self._turns = None
        clock = self._parts.clock
        if (
            clock.monotonic() >= self._abstain_until
            and (tenure := self._elector.stand()) is not None
        ):
            housekeeping = Housekeeping(
                self._raw, self._parts.keys, self._group, tools_of(self._client, self._parts)
            )
            self._turns = SchedulerLoop(
                f"lead-{self._group}",
                clock,
                Surroundings(
                    goes_on=lambda: not (self.stopping.is_set() or tenure.over),
                    trusted=tenure.trusted,
                    look_anew=self._look_anew,
                    before_load=self._note_listener,
                    unblock=self._unblock,
                    after_turn=housekeeping.run_due,
                ),
                partial(self._lead, tenure),
            )
            self._slow = None
            self._turns.start()
            return self._parts.renew_s, True
        # Jitter so that followers who all saw the same leader go do not bid at once.
        return self._parts.poll_s * random.uniform(0.8, 1.2), True  # noqa: S311

    def _lead(self, tenure: Tenure, turns: SchedulerLoop) -> None:
        why = "stopped"
        try:
            self._look_anew()
            self._found_anew_if_wiped()
            reign = Reign(
                tenure.term,
                (self._client, self._blocking),
                self._parts.reign,
                self._parts.clock,
                tenure.trusted,
            )
            turns.run(reign)
        except ResignationAsked:
            why, self._abstain_until = "asked to", self._parts.clock.monotonic() + _ABSTAIN_S
        except Deposed as error:
            why = "deposed"
            self._log.warning("leader.deposed", term=tenure.term.number, says=str(error))
        except SchedulerError as error:
            why = type(error).__name__
            self._abstain_until = self._parts.clock.monotonic() + 1.0
            self._log.error("leader.failed", term=tenure.term.number, says=str(error))
        except Exception:  # noqa: BLE001 - see below
            # A defect of ours: the term ends, the next one begins from what Redis holds.
            why = "defect"
            self._abstain_until = self._parts.clock.monotonic() + 1.0
            self._log.exception("leader.failed", term=tenure.term.number)
        finally:
            self._elector.resign(why)
            self._loop.wake()

    def _found_anew_if_wiped(self) -> None:
        """A Redis that lost everything must not wait for people to restart every replica.

        The sessions are gone with it. Agents register again by themselves, and what they still run
        is stopped, as no session knows it.
        """
        known = GroupRepository(self._client, self._parts.keys).names()
        if self._group not in known:
            self._log.error("redis.wiped", then="the group begins anew, with default options")
            prepare(self._client, self._parts, [self._group])

    def _note_listener(self) -> None:
        with speaking_to(self._blocking):
            self._listener = self._blocking.client_id()

    def _unblock(self) -> None:
        with speaking_to(self._client):
            self._client.client_unblock(self._listener)

    def _look_anew(self) -> None:
        for client in (self._client, self._blocking, self._raw):
            client.connection_pool.disconnect()

    def stop(self) -> None:
        """Hand over and end."""
        self.stopping.set()
        # The loop first: it may be about to begin a term, whose thread would be left alone.
        self._loop.stop()
        if self._turns is not None:
            self._turns.stop(_HAND_OVER_S)
        self._elector.resign("stopped")
        for client in (self._client, self._blocking, self._raw, self._standing):
            client.close()


def prepare(client: redis.Redis, parts: ReplicaParts, groups: Sequence[str]) -> None:
    """Check the server, note the layout, create the groups.

    Raises RedisUnsuitable, SchemaTooNew, MigrationRefused, StoreUnavailable, InvalidSetting.
    """
    schema.prepare(client, parts.keys, events_cap=parts.events_cap)
    repository = GroupRepository(client, parts.keys)
    for group in groups:
        repository.configure(group, {})


class Replica:
    """Stands for election in one or more groups."""

    def __init__(self, parts: ReplicaParts, groups: Sequence[str] = (DEFAULT_GROUP,)) -> None:
        self._parts = parts
        self._groups = tuple(dict.fromkeys(groups)) or (DEFAULT_GROUP,)
        self._candidacies: list[Candidacy] = []
        self._deliveries: Deliveries | None = None
        self._chores: ChoreWorker | None = None
        self._callbacks: Callbacks | None = None

    def start(self) -> None:
        """Check the plugins that are installed, and Redis; create the groups, begin to stand.

        Raises RedisUnsuitable, SchemaTooNew, MigrationRefused, StoreUnavailable, InvalidSetting.
        """
        for says in check_installed():
            then = "a group that names it places nothing, no other minds"
            get_logger().warning("plugin.unusable", says=says, then=then)
        client = connect(self._parts.redis_url, policy=self._parts.repeats)
        prepare(client, self._parts, self._groups)
        client.close()
        self._candidacies = [Candidacy(group, self._parts) for group in self._groups]
        for candidacy in self._candidacies:
            candidacy.start()
        client, secret = connect(self._parts.redis_url), self._parts.reign.secret
        self._deliveries = Deliveries(DeliveryParts(client, self._parts.keys, secret))
        self._deliveries.start()
        self._chores = self._chore_worker(client)
        self._chores.start()
        client, rules = connect(self._parts.redis_url), self._parts.callbacks
        self._callbacks = Callbacks(CallbackParts(client, self._parts.keys, secret, rules))
        self._callbacks.start()

    def _chore_worker(self, client: redis.Redis) -> ChoreWorker:
        raw, name = connect_for_rq(self._parts.redis_url), self._parts.elector.holder
        return ChoreWorker(raw, self._parts.keys, tools_of(client, self._parts), name)

    def stop(self) -> None:
        """Hand over where it leads, and end; a few seconds at most."""
        for candidacy in self._candidacies:
            candidacy.stopping.set()
        for candidacy in self._candidacies:
            candidacy.stop()
        if self._deliveries is not None:
            self._deliveries.stop()
        if self._chores is not None:
            self._chores.stop()
        # Its loop can be closed once only, and a replica may be asked to stop twice.
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            callbacks.stop()

    def health(self) -> dict[str, Any]:
        """What every process says of its health, and ``leads``: the groups it leads now.

        A replica is ready while Redis answers it: it leads, or would.
        """
        standing = list(zip(self._groups, self._candidacies, strict=False))
        whys = [why for _, candidacy in standing if (why := candidacy.why_not_ready)]
        why = whys[0] if whys else "" if standing else "It is still starting."
        leads = [group for group, candidacy in standing if candidacy.leads]
        return health_facts("replica", why, leads=leads)
