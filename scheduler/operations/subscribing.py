"""Subscribers as operators add them, and give them events again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from scheduler.domain.errors import NotFound
from scheduler.domain.events import EventData
from scheduler.domain.ids import new_nonce
from scheduler.plugins.loading import load_subscriber
from scheduler.plugins.subscribers import SubscriberContext
from scheduler.store.events import BEGINNING, EventRepository
from scheduler.store.keys import Keys
from scheduler.store.subscribers import SubscriberRepository, Wanted


class Store(Protocol):
    """What subscribing works on."""

    @property
    def keys(self) -> Keys: ...
    @property
    def events(self) -> EventRepository: ...
    @property
    def subscribers(self) -> SubscriberRepository: ...


class NothingToSkip(NotFound):
    """Subscriber {name} has no event ahead of it that could be skipped."""


def add_subscriber(
    store: Store,
    name: str,
    kind: tuple[str, Mapping[str, Any]],
    wanted: Wanted,
    *,
    from_oldest: bool,
) -> None:
    """Add a subscriber; its kind reads its options before anything is written.

    It gets what happens from now on, or from the oldest event that is kept; where no events are
    named, what its kind is for. Raises InvalidSetting, UnknownPlugin, SubscriberExists.
    """
    plugin, opts = kind
    # The key of a subscriber signs; that of this trial signs nothing.
    context = SubscriberContext(name, store.keys.root, new_nonce(), trial=True)
    tried = load_subscriber(plugin, opts, context)
    tried.close()
    wanted = replace(wanted, events=wanted.events or tried.events)
    cursor = BEGINNING if from_oldest else store.events.last_id()
    store.subscribers.add(name, plugin, opts, wanted, cursor)


def resume_subscriber(store: Store, name: str, *, skip: bool) -> str:
    """Give a subscriber events again, without the one it failed at if it is to be skipped.

    ``resumed``, or ``running`` where nothing held it up. Raises SubscriberNotFound, NothingToSkip.
    """
    found = store.subscribers.get(name)
    if not skip:
        return store.subscribers.resume(name)
    if found.throttle and found.window.due(found.throttle, store.subscribers.now_ms()):
        return store.subscribers.resume(name, dropping=found.window)
    failing = _next(store, found.cursor, found.wants)
    if failing is None:
        raise NothingToSkip(name=name)
    return store.subscribers.resume(name, failing.id)


def _next(store: Store, cursor: str, wants: Any) -> EventData | None:
    while page := store.events.since(cursor):
        for event in page:
            if wants(event.name):
                return event
        cursor = page[-1].id
    return None
