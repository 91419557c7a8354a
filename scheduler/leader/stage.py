"""A term led in this process over agents that do not run, for traces and the benchmark.

Deciding and committing are the real ones, orders and RQ jobs included; nobody takes the orders.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, cast

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.errors import InvalidSetting, NoLeader, Refused
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.ids import is_name, new_nonce
from scheduler.domain.moves import Admit
from scheduler.domain.slots import pareto, shape_of_free
from scheduler.leader.elector import Elector, ElectorSettings, Tenure
from scheduler.leader.reign import Reign, ReignSettings
from scheduler.leader.state import LeaderState
from scheduler.leader.watch import WatchRules
from scheduler.leader.writer import BATCH
from scheduler.store import schema
from scheduler.store.agents import AgentRepository
from scheduler.store.connection import connect, speaking_to
from scheduler.store.groups import GroupRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository, LeaderStore
from scheduler.store.sessions import SessionRepository

HOLDER: Final = "stage"
#: Nobody beats, claims or renews here: whatever the clock would do about that is put off.
NEVER_MS: Final = 7 * 86_400_000
_EVENTS_CAP: Final = 100_000
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class StagedAgent:
    """An agent that is admitted, and never runs anything."""

    id: str
    capacity: Mapping[str, int]  #: device slots
    models: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class StagedReign(Reign):
    """A term that can be asked whether anything is left to do."""

    @property
    def state(self) -> LeaderState:
        """All it knows."""
        return self._state

    @property
    def settled(self) -> bool:
        """Whether all that waits was loaded, and either placed or refused."""
        return self._state.all_loaded and not self._busy


class Stage:
    """One namespace that must be empty before, and is emptied afterwards. Use it in ``with``.

    Raises InvalidSetting, Refused, RedisUnsuitable, StoreUnavailable.
    """

    def __init__(self, redis_url: str, namespace: str, options: Mapping[str, Any]) -> None:
        if not is_name(namespace):
            problem = f"{namespace!r} is no name: letters, digits, _ and - only, at most 63"
            raise InvalidSetting(name="namespace", problem=problem)
        self.client, self._blocking = connect(redis_url), connect(redis_url)
        self.keys, self._clock = Keys(namespace), SystemClock()
        self.secret = secrets.token_hex(32)
        self.sessions = SessionRepository(self.client, self.keys, self._clock)
        self.agents = AgentRepository(self.client, self.keys)
        self.leadership = LeadershipRepository(self.client, self.keys)
        self._elector = Elector(
            DEFAULT_GROUP,
            ElectorSettings(redis_url, namespace, HOLDER, NEVER_MS),
            self.leadership,
            self._clock,
        )
        self._options = dict(options)

    def __enter__(self) -> Self:
        if self._own_keys():
            why = f"namespace {self.keys.root!r} is in use, and an empty one is needed"
            raise Refused(why=why)
        schema.prepare(self.client, self.keys, events_cap=_EVENTS_CAP)
        GroupRepository(self.client, self.keys).configure(
            DEFAULT_GROUP, {"claim_timeout_ms": NEVER_MS, **self._options}
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._elector.resign("the stage is taken down")
        self._erase()
        self.client.close()
        self._blocking.close()

    def admit(self, agents: Sequence[StagedAgent]) -> None:
        """Admit agents by the leader's own move."""
        leader = LeaderStore(self.client, self._blocking, self.keys, self._tenure.term)
        shapes = pareto(shape_of_free(agent.capacity) for agent in agents)
        reachable = _json(shapes)
        moves = [
            Admit(
                agent=agent.id,
                boot=new_nonce(),
                group=DEFAULT_GROUP,
                fields=[
                    *("models", _json(dict(agent.models))),
                    *("labels", _json(dict(agent.labels))),
                    *("lease_ms", str(NEVER_MS)),
                ],
                capacity=agent.capacity,
                reachable=reachable,
            )
            for agent in agents
        ]
        for start in range(0, len(moves), BATCH):
            leader.apply(moves[start : start + BATCH])

    def lead(self) -> StagedReign:
        """A term that has loaded what it begins with."""
        tenure = self._tenure
        settings = ReignSettings(
            secret=self.secret,
            namespace=self.keys.root,
            watch=WatchRules(NEVER_MS, NEVER_MS, NEVER_MS),
            sweep_ms=NEVER_MS,
            retry_initial_ms=NEVER_MS,
        )
        clients = (self.client, self._blocking)
        reign = StagedReign(tenure.term, clients, settings, self._clock, tenure.trusted)
        reign.load()
        return reign

    @property
    def _tenure(self) -> Tenure:
        tenure = self._elector.tenure or self._elector.stand()
        if tenure is None:
            raise NoLeader(group=DEFAULT_GROUP)
        return tenure

    def _own_keys(self) -> list[str]:
        with speaking_to(self.client):
            found = self.client.scan_iter(f"{self.keys.root}:*", count=_PAGE)
            return cast("list[str]", list(found))

    def _erase(self) -> None:
        """Delete what was written, and nothing else; RQ's jobs do not carry our namespace."""
        agents = self.agents.ids(DEFAULT_GROUP)
        queues = [self.keys.rq_queue(agent) for agent in agents]
        with speaking_to(self.client), self.client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.lrange(queue, 0, -1)
            orders = [order for found in pipe.execute() for order in found]
            doomed = [*map(self.keys.rq_job, orders), *queues, *self._own_keys()]
            for start in range(0, len(doomed), _PAGE):
                pipe.unlink(*doomed[start : start + _PAGE])
            if queues:
                pipe.srem(self.keys.rq_queues(), *queues)
            pipe.execute()


def place_all(reign: StagedReign, clock: Clock) -> float:
    """Turn until everything that waits is placed or refused; the seconds it took."""
    started = ended = clock.monotonic()
    while not reign.settled:
        cycles = reign.dispatcher.counts.cycles
        reign.run_once()
        # The last turns only look whether anything is left.
        if reign.dispatcher.counts.cycles != cycles:
            ended = clock.monotonic()
    return ended - started


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
