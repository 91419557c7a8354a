"""Composition root of the agent: settings > store > parts; the only place that opens the store."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agents import facts
from agents.allow import AllowList
from agents.executors import environment
from agents.heartbeat import Heartbeat, Rhythm
from agents.held import Held
from agents.identity import Identity
from agents.life import Life, Parts
from agents.limits import CgroupHome, MemoryLimit
from agents.nursery import Habitat, Nursery
from agents.orders import Orders
from agents.pool import Pool, PoolLimits
from agents.post import Answer, Claimed, NotAdmittedError
from agents.rundir import RunDirectory
from agents.sender import LogKeeping, Sender
from agents.settings import AgentSettings, key_of, state_directory
from agents.supervisor import Rules, Supervisor
from agents.worker import AgentWorker
from scheduler.domain.errors import (
    InvalidInput,
    InvalidSetting,
    RedisRefuses,
    StoreUnavailable,
)
from scheduler.domain.ids import is_name, new_nonce
from scheduler.observability.metrics import exposition
from scheduler.observability.serving import pages, serve_pages
from scheduler.protocol.report import Registration
from scheduler.store.connection import CONNECT_TIMEOUT_S, connect, open_client
from scheduler.store.mailbox import AgentMailbox, Superseded
from scheduler.store.retrying import NEVER
from scheduler.store.schema import check_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an agent offers, as its operator says."""

    agent: str
    group: str
    slots: Mapping[str, int]
    models: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    max_kernels: int = 0
    allow: Sequence[str] = ()
    allow_commands: bool = False
    path: Path = field(default_factory=Path.cwd)
    http: tuple[str, int] | None = None  #: where it tells of itself


class StorePost:
    """The mailbox as the agent sees it: one connection, used by one thread at a time."""

    def __init__(self, mailbox: AgentMailbox) -> None:
        self._mailbox = mailbox
        self._lock = threading.Lock()

    def claim(
        self, boot: str, orders: Sequence[str], report: Mapping[str, str]
    ) -> Sequence[Claimed]:
        """Take orders. Raises NotAdmittedError."""
        try:
            with self._lock:
                return self._mailbox.claim(boot, orders, report)
        except Superseded as error:
            raise NotAdmittedError from error

    def lying(self) -> Sequence[str]:
        """Ids of the orders that were not claimed yet."""
        with self._lock:
            return self._mailbox.lying()

    def report(self, reports: Sequence[Mapping[str, str]]) -> None:
        """Append encoded reports, in order."""
        with self._lock:
            self._mailbox.report(reports)

    def beat(
        self, boot: str, ttl_ms: int, *, claims: int, running: Sequence[str], over: Sequence[str]
    ) -> Answer:
        """Say what runs and which stops are carried out, hear the answer."""
        with self._lock:
            return self._mailbox.beat(boot, ttl_ms, claims=claims, running=running, over=over)

    def stop_order(self, order: str) -> str | None:
        """The signed stop order for one order, if one stands."""
        with self._lock:
            return self._mailbox.stop_order(order)

    def log(self, order: str, stream: str, text: str, *, cap: int, ttl_s: int) -> bool:
        """Append output of a kernel; False once its log is full."""
        with self._lock:
            return self._mailbox.log(order, stream, text, cap=cap, ttl_s=ttl_s)


def run_agent(settings: AgentSettings, offer: Offer) -> int:
    """Run an agent until it is told to end; its exit code.

    Raises InvalidInput, Refused for an address that cannot be had, and what a Redis that answers is
    refused for: RedisUnsuitable, RedisRefuses.
    """
    for what, name in (("id", offer.agent), ("group", offer.group)):
        if not is_name(name):
            raise InvalidSetting(
                name=what, problem=f"expected letters, digits, _ and -, at most 63, got {name!r}"
            )
    if not offer.path.is_dir():
        raise InvalidInput(problem=f"There is no directory {offer.path} to find callables in.")
    key = key_of(settings, offer.agent)
    _check_redis(settings.redis_url)
    directory = RunDirectory(state_directory(settings) / f"{settings.namespace}-{offer.agent}")
    facts.become_subreaper()
    swept = directory.sweep()
    identity = Identity(offer.agent, offer.group, new_nonce(), key)
    if swept:
        identity.log().info("agent.swept", predecessor=swept[:8])
    life = Life(_parts(settings, offer, identity, directory, swept))
    with ExitStack() as running:
        if offer.http:
            # Metrics of the process; what it holds and does is the replicas' to tell.
            found = pages(life.health, exposition(tuple))
            running.callback(serve_pages(offer.http, found).stop)
        return life.run()


def _check_redis(url: str) -> None:
    """Refuse a Redis that no replica would use: the agent would wait there for ever."""
    with closing(connect(url, policy=NEVER)) as client:
        try:
            check_server(client)
        except RedisRefuses:
            raise
        except StoreUnavailable:
            pass  # it may come up later than we do


def _parts(
    settings: AgentSettings, offer: Offer, identity: Identity, directory: RunDirectory, swept: str
) -> Parts:
    mailboxes = [
        # No retries below us: who speaks knows better when an answer was lost, and when to give up.
        AgentMailbox(
            connect(settings.redis_url, policy=NEVER), settings.namespace, offer.agent, offer.group
        )
        for _ in range(2)
    ]
    post, beat_post = map(StorePost, mailboxes)
    held = Held()
    leash = directory.begin(identity.boot, swept)
    sender = Sender(
        post, identity, LogKeeping(settings.log_cap, int(settings.retention)), held.told
    )
    supervisor = _supervisor(
        settings,
        offer,
        Nursery(directory, leash, _habitat(settings, offer, identity)),
        sender,
        identity,
    )
    rhythm = Rhythm(settings.beat_interval, int(settings.lease * 1000))
    return Parts(
        identity=identity,
        directory=directory,
        held=held,
        sender=sender,
        supervisor=supervisor,
        orders=Orders(identity, post, held, sender, supervisor),
        beats=Heartbeat(
            identity, beat_post, _registration(settings, offer, identity, swept), rhythm, leash
        ),
        worker=AgentWorker(
            mailboxes[0].queue_name, _rq_connection(settings.redis_url), identity, offer.address
        ),
        grace_s=settings.kill_grace,
    )


def _rq_connection(url: str) -> redis.Redis:
    """RQ's own: it works on bytes, and changes the time-outs of the connection it is given."""
    once = Retry(NoBackoff(), 0)
    return open_client(
        url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=None, retry=once
    )


def _habitat(settings: AgentSettings, offer: Offer, identity: Identity) -> Habitat:
    cgroups = None
    if settings.memory_limit in (MemoryLimit.AUTO, MemoryLimit.CGROUP):
        cgroups = CgroupHome.find()
        if cgroups is None and settings.memory_limit is MemoryLimit.CGROUP:
            problem = (
                "no cgroup v2 with the memory controller is delegated to it; use auto or watch"
            )
            raise InvalidSetting(name="memory_limit", problem=problem)
    return Habitat(
        env=environment.base(os.environ, identity.boot),
        path=offer.path.resolve(),
        grace_ms=int(settings.kill_grace * 1000),
        cgroups=cgroups,
    )


def _supervisor(
    settings: AgentSettings, offer: Offer, nursery: Nursery, sender: Sender, identity: Identity
) -> Supervisor:
    pool = Pool(PoolLimits(settings.warm_children, int(settings.warm_idle * 1e9)))
    rules = Rules(
        allow=AllowList(tuple(offer.allow), offer.allow_commands),
        memory_limit=settings.memory_limit,
        grace_ms=int(settings.kill_grace * 1000),
        log_cap=settings.log_cap,
        base_env=environment.base(os.environ, identity.boot),
    )
    return Supervisor(nursery, pool, rules, sender, identity.log())


def _registration(
    settings: AgentSettings, offer: Offer, identity: Identity, swept: str
) -> Registration:
    return Registration(
        agent=offer.agent,
        boot=identity.boot,
        group=offer.group,
        slots=dict(offer.slots),
        models=dict(offer.models),
        labels=dict(offer.labels),
        architecture=platform.machine(),
        address=offer.address,
        lease_ms=int(settings.lease * 1000),
        grace_ms=int(settings.kill_grace * 1000),
        max_kernels=offer.max_kernels,
        swept=swept,
    )
