"""All subscribers of a namespace, each delivered to in a thread of its own."""

from __future__ import annotations

from contextlib import suppress

from scheduler.domain.errors import StoreUnavailable
from scheduler.notifications.delivery import Delivery, DeliveryParts
from scheduler.service.loop import Service
from scheduler.store.subscribers import SubscriberRepository

#: How often it looks whether subscribers were added or removed.
_LOOK_EVERY_S = 2.0


class Deliveries:
    """Runs in every replica; which of them delivers to a subscriber, a lock decides."""

    def __init__(self, parts: DeliveryParts) -> None:
        self._parts = parts
        self._subscribers = SubscriberRepository(parts.client, parts.keys)
        self._running: dict[str, tuple[Delivery, Service]] = {}
        self._loop = Service("subscribers", self._run_once)

    def start(self) -> None:
        """Begin to look for subscribers."""
        self._loop.start()

    def stop(self) -> None:
        """Stop delivering, and let other replicas go on. Deliveries under way are not waited for."""
        self._loop.stop()
        for name in list(self._running):
            self._end(name)
        self._parts.client.close()

    def _run_once(self) -> float:
        wanted = set(self._subscribers.names())
        for name in self._running.keys() - wanted:
            self._end(name)
        for name in sorted(wanted - self._running.keys()):
            delivery = Delivery(name, self._parts)
            service = Service(f"subscriber-{name}", delivery.run_once)
            self._running[name] = (delivery, service)
            service.start()
        return _LOOK_EVERY_S

    def _end(self, name: str) -> None:
        delivery, service = self._running.pop(name)
        # Who hangs in a delivery keeps its lock until that expires: nobody delivers beside it.
        if service.stop(timeout=_LOOK_EVERY_S):
            with suppress(StoreUnavailable):
                delivery.close()
