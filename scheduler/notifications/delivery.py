"""Delivers events to one subscriber: in order, at least once, by one replica at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from redis_lock import Lock, NotAcquired, NotExpirable

from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import InvalidInput
from scheduler.domain.events import Event, EventData
from scheduler.domain.ids import new_nonce
from scheduler.domain.job_events import JOB_EVENTS, as_job
from scheduler.domain.redaction import secrets_in, without_secrets
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.subscriber import BUDGET_S, MAX_FAILURES, SubscriberData
from scheduler.domain.throttle import Window, digest_of
from scheduler.observability.logs import get_logger
from scheduler.operations.telling import told
from scheduler.plugins.loading import load_subscriber
from scheduler.plugins.subscribers import (
    AbstractSubscriber,
    SubscriberContext,
    UndeliverableError,
)
from scheduler.protocol.signing import subscriber_key
from scheduler.service.budget import Budgeted
from scheduler.store.connection import speaking_to
from scheduler.store.events import BEGINNING, EventRepository
from scheduler.store.keys import Keys
from scheduler.store.sessions import SessionRepository
from scheduler.store.subscribers import Failed, SubscriberRepository

#: Three budgets: whoever holds the lock extends it before each delivery.
_LOCK_S = 30
_LOOK_AGAIN_S = 2.0
_WAIT_S = 1.0
#: A busy cluster makes thousands of events per second: they are read in batches, not one by one.
_GATHER_S = 0.1
_AT_A_TIME = 500
_TOLD = 300


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What all deliveries of a replica share."""

    client: redis.Redis
    keys: Keys
    secret: str
    budget_s: float = BUDGET_S
    backoff: RetryPolicy = field(default_factory=RetryPolicy)
    max_failures: int = MAX_FAILURES


class Delivery:
    """One subscriber as one replica sees it."""

    def __init__(self, name: str, parts: DeliveryParts) -> None:
        self._name = name
        self._parts = parts
        self._subscribers = SubscriberRepository(parts.client, parts.keys)
        self._events = EventRepository(parts.client, parts.keys)
        self._sessions = SessionRepository(parts.client, parts.keys, SystemClock())
        self._lock: Lock | None = None
        self._plugin: AbstractSubscriber | None = None
        self._made_of: tuple[str, Mapping[str, Any]] | None = None  #: the plugin's kind and options
        self._budgeted = Budgeted(f"subscriber {name}")
        self._taken = ""  #: id of the last event that its plugin took
        self._taken_by: tuple[str, Mapping[str, Any]] | None = None  #: as ``_made_of`` was then
        self._secrets: list[str] = []
        self._log = get_logger(subscriber=name)

    def run_once(self) -> float:
        """Deliver what is there; seconds until it wants to look again. Raises StoreUnavailable."""
        subscriber, wait = self._subscriber()
        if subscriber is None:
            return wait
        if subscriber.throttle is not None and subscriber.window.due(
            subscriber.throttle, self._subscribers.now_ms()
        ):
            self._digest(subscriber)
            return 0.0
        if self._events.gap_after(subscriber.cursor):
            self._log.warning("subscriber.gap", after=subscriber.cursor)
            self._subscribers.advance(subscriber, BEGINNING, gaps=1)
            return 0.0
        events = self._events.wait(subscriber.cursor, timeout=_WAIT_S, limit=_AT_A_TIME)
        whole = self._deliver_all(subscriber, events)
        return 0.0 if not events or (whole and len(events) == _AT_A_TIME) else _GATHER_S

    def _subscriber(self) -> tuple[SubscriberData | None, float]:
        """The subscriber where this replica may deliver to it now; else None, and when to look again."""
        if not self._held():
            return None, _LOOK_AGAIN_S
        found = self._subscribers.many([self._name])
        if not found or found[0].parked:
            return None, _LOOK_AGAIN_S
        subscriber = found[0]
        if (wait := self._subscribers.due_in_s(subscriber)) > 0:
            return None, min(wait, _LOOK_AGAIN_S)
        if self._made_of != (subscriber.kind, subscriber.opts) and not self._load(subscriber):
            return None, _LOOK_AGAIN_S
        return subscriber, 0.0

    def _deliver_all(self, subscriber: SubscriberData, events: list[EventData]) -> bool:
        """Deliver what it wants and pass over the rest; whether all were."""
        at = subscriber
        for event in events:
            if not at.wants(event.name):
                at = replace(at, cursor=event.id)
                continue
            if at.throttle is not None:
                now_ms = self._subscribers.now_ms()
                if at.window.due(at.throttle, now_ms):
                    break
                if at.window.holds(at.throttle, now_ms):
                    at = _held_back(at, event)
                    continue
            if not self._held():
                return False
            why, limit = self._deliver(self._told(event, subscriber))
            # What was passed over or held back before it is behind it, whatever became of this one.
            if not self._catch_up(subscriber, at):
                return False
            subscriber = at
            if why:
                self._note(subscriber, event.id, why, limit)
                return False
            window = self._after_message(subscriber)
            if not self._subscribers.advance(subscriber, event.id, delivered=1, window=window):
                return False
            window = window or subscriber.window
            at = subscriber = replace(subscriber, cursor=event.id, failures=0, window=window)
        return self._catch_up(subscriber, at)

    def _catch_up(self, subscriber: SubscriberData, at: SubscriberData) -> bool:
        """Note how far it is without a delivery; False where another replica did."""
        if at.cursor == subscriber.cursor:
            return True
        window = at.window if at.window != subscriber.window else None
        return self._subscribers.advance(subscriber, at.cursor, window=window)

    def _after_message(self, subscriber: SubscriberData) -> Window | None:
        if subscriber.throttle is None:
            return None
        return subscriber.window.after_message(subscriber.throttle, self._subscribers.now_ms())

    def _digest(self, subscriber: SubscriberData) -> None:
        """Tell what was held back, now that the window is over."""
        assert subscriber.throttle is not None  # noqa: S101 - it held something back
        digest = digest_of(subscriber.window, subscriber.throttle, subscriber.cursor)
        why, limit = self._deliver(digest)
        if why:
            self._note(subscriber, digest.id, why, limit)
            return
        after = self._after_message(subscriber)
        self._subscribers.digested(subscriber, after or Window())

    def _told(self, event: EventData, subscriber: SubscriberData) -> Event:
        return told(self._sessions, [event], subscriber.events)[0]

    def _deliver(self, event: Event) -> tuple[str, int]:
        """Why it failed, or "", and after how many failures it is parked.

        What was taken and could not be noted, as when Redis did not answer or the budget was over by
        then, is noted now and not delivered again.
        """
        if self._taken == event.id:
            return "", 0
        plugin = self._plugin
        assert plugin is not None  # noqa: S101 - loaded before anything is delivered

        def deliver() -> None:
            plugin.deliver(event)
            self._taken = event.id

        try:
            self._budgeted.call(deliver, self._parts.budget_s)
        except UndeliverableError as error:
            return self._redacted(str(error)) or "undeliverable", 0
        except Exception as error:  # noqa: BLE001 - whatever a subscriber raises is its own failure
            why = self._redacted(f"{type(error).__name__}: {error}")
            return why[:_TOLD], self._parts.max_failures
        return "", 0

    def _redacted(self, text: str) -> str:
        return without_secrets(text, self._secrets)

    def _note(self, subscriber: SubscriberData, event_id: str, why: str, limit: int) -> None:
        delay = self._parts.backoff.delay_ms(subscriber.failures + 1, random.random())  # noqa: S311 - jitter
        word = self._subscribers.fail(subscriber, Failed(why, delay, limit))
        self._log.warning("subscriber.failed", event_id=event_id, says=why, then=word)

    def _held(self) -> bool:
        """Whether this replica delivers to it; takes the lock where it is free."""
        try:
            with speaking_to(self._parts.client):
                if self._lock is not None:
                    self._lock.extend()
                    return True
                # A fresh one each time: one that was lost cannot be acquired again.
                name = self._parts.keys.subscriber_lock_name(self._name)
                lock = Lock(self._parts.client, name, expire=_LOCK_S, id=new_nonce())
                if lock.acquire(blocking=False):
                    self._lock = lock
        except (NotAcquired, NotExpirable):
            self._let_go()
        return self._lock is not None

    def _load(self, subscriber: SubscriberData) -> bool:
        # It may have been removed and added again, with another address, between two looks.
        self._drop_plugin()
        keys = self._parts.keys
        context = SubscriberContext(
            self._name, keys.root, subscriber_key(self._parts.secret, keys.root, self._name)
        )
        try:
            self._plugin = load_subscriber(subscriber.kind, subscriber.opts, context)
        except InvalidInput as error:
            # Another replica may have the plugin: the lock is free for it.
            self._log.warning("subscriber.not_here", kind=subscriber.kind, says=str(error))
            self.close()
            return False
        self._made_of = (subscriber.kind, subscriber.opts)
        self._secrets = secrets_in(subscriber.opts)
        if self._taken_by != self._made_of:
            self._taken, self._taken_by = "", self._made_of
        return True

    def _let_go(self) -> None:
        self._lock = None
        self._drop_plugin()

    def _drop_plugin(self) -> None:
        plugin, self._plugin, self._made_of = self._plugin, None, None
        if plugin is not None:
            plugin.close()

    def close(self) -> None:
        """Give the lock back, so that another replica goes on at once."""
        lock = self._lock
        self._let_go()
        if lock is not None:
            try:
                with speaking_to(self._parts.client):
                    lock.release()
            except NotAcquired:
                pass


def _held_back(at: SubscriberData, event: EventData) -> SubscriberData:
    name = JOB_EVENTS[event.name] if as_job(at.events, event.name) else event.name
    what = event.fields.get("session") or event.fields.get("agent") or ""
    return replace(at, cursor=event.id, window=at.window.after_holding(name, what))
