"""The composition root: settings become a store and its repositories; the only place that chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from scheduler.domain.callback import AllowedHosts
from scheduler.domain.clock import Clock, SystemClock
from scheduler.service.starting import without_gc
from scheduler.settings import Settings
from scheduler.store import schema
from scheduler.store.agents import AgentRepository
from scheduler.store.api_keys import ApiKeyRepository
from scheduler.store.callbacks import CallbackRepository
from scheduler.store.chores import ChoreRepository
from scheduler.store.connection import connect
from scheduler.store.durations import DurationRepository
from scheduler.store.events import EventRepository
from scheduler.store.graphs import GraphRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.jobs import JobRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository
from scheduler.store.listing import ListingRepository
from scheduler.store.logs import LogRepository
from scheduler.store.offices import OfficeRepository
from scheduler.store.retention import RetentionRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.sessions import SessionRepository
from scheduler.store.subscribers import SubscriberRepository
from scheduler.store.timeouts import TimeoutRepository
from scheduler.store.use import UseRepository

if TYPE_CHECKING:
    from scheduler.leader.replica import Replica


@dataclass(frozen=True, slots=True)
class Store:
    """The repositories of one namespace, over one client."""

    client: redis.Redis
    keys: Keys
    clock: Clock
    sessions: SessionRepository
    agents: AgentRepository
    groups: GroupRepository
    graphs: GraphRepository
    scopes: ScopeRepository
    offices: OfficeRepository
    events: EventRepository
    leadership: LeadershipRepository
    listing: ListingRepository
    logs: LogRepository
    subscribers: SubscriberRepository
    callbacks: CallbackRepository
    use: UseRepository
    jobs: JobRepository
    durations: DurationRepository
    timeouts: TimeoutRepository
    chores: ChoreRepository
    api_keys: ApiKeyRepository
    retention: RetentionRepository


def open_store(settings: Settings, client: redis.Redis | None = None) -> Store:
    """The repositories over a Redis; nothing is read or written yet."""
    client = client or connect(settings.redis_url, policy=settings.repeat_policy)
    keys, clock = Keys(settings.namespace), SystemClock()
    return Store(
        client=client,
        keys=keys,
        clock=clock,
        sessions=SessionRepository(client, keys, clock),
        agents=AgentRepository(client, keys),
        groups=GroupRepository(client, keys),
        graphs=GraphRepository(client, keys, clock, patience_ms=settings.graph_patience),
        scopes=ScopeRepository(client, keys),
        offices=OfficeRepository(client, keys),
        events=EventRepository(client, keys),
        leadership=LeadershipRepository(client, keys),
        listing=ListingRepository(client, keys),
        logs=LogRepository(client, keys),
        subscribers=SubscriberRepository(client, keys),
        callbacks=CallbackRepository(client, keys),
        use=UseRepository(client, keys),
        jobs=JobRepository(client, keys),
        durations=DurationRepository(client, keys),
        timeouts=TimeoutRepository(client, keys),
        chores=ChoreRepository(client, keys),
        api_keys=ApiKeyRepository(client, keys),
        retention=RetentionRepository(client, keys),
    )


def open_for_app(settings: Settings) -> Store:
    """A store for apps and operators: refuses data of another layout. Raises SchemaTooNew, SchemaTooOld.

    It waits for a primary while Sentinel looks for one; processes that run on have loops for that.
    """
    patience = settings.failover_patience / 1000
    client = connect(settings.redis_url, policy=settings.repeat_policy, patience=patience)
    store = open_store(settings, client)
    schema.check_version(store.client, store.keys)
    return store


def make_replica(settings: Settings, name: str, groups: Sequence[str]) -> Replica:
    """A replica that is not started yet. Raises InvalidSetting where the cluster's secret is missing."""
    # Apps and every short command import this module; numpy and RQ would cost them half a second.
    with without_gc():
        from scheduler.leader.elector import ElectorSettings  # noqa: PLC0415
        from scheduler.leader.reign import ReignSettings  # noqa: PLC0415
        from scheduler.leader.replica import Replica, ReplicaParts  # noqa: PLC0415
        from scheduler.leader.watch import WatchRules  # noqa: PLC0415
        from scheduler.notifications.callbacks import CallbackRules  # noqa: PLC0415
        from scheduler.notifications.redeliveries import RedeliveryRules  # noqa: PLC0415

    parts = ReplicaParts(
        redis_url=settings.redis_url,
        keys=Keys(settings.namespace),
        clock=SystemClock(),
        renew_s=settings.leader_renew / 1000,
        poll_s=settings.follower_poll / 1000,
        events_cap=settings.events_cap,
        repeats=settings.repeat_policy,
        callbacks=CallbackRules(
            AllowedHosts(settings.callback_hosts), patience_ms=settings.callback_patience
        ),
        retention_ms=settings.retention,
        redelivery=RedeliveryRules(settings.redelivery_every, settings.redelivery_within),
        elector=ElectorSettings(settings.redis_url, settings.namespace, name, settings.leader_ttl),
        reign=ReignSettings(
            secret=settings.cluster_secret(),
            namespace=settings.namespace,
            watch=WatchRules(
                settings.not_ready_after, settings.rescue_margin, settings.storm_pause
            ),
            sweep_ms=settings.sweep,
            retry_initial_ms=settings.retry_initial,
        ),
    )
    return Replica(parts, groups)
