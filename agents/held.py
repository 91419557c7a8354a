"""Which orders this boot holds, and which it has seen; shared by all threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

# At 1,500 kernels a second, a minute: an order delivered twice comes within that, or not at all.
_REMEMBERED: Final = 100_000


class Held:
    """Orders that were claimed and whose end is not told yet, and the number of the last claim."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, None] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._claims = 0

    def take(self, orders: Iterable[tuple[str, int]]) -> None:
        """Orders were claimed, with their numbers; in one step, as a beat names all it counts."""
        with self._lock:
            for order, number in orders:
                self._held[order] = None
                # Not the largest: a failover may have set the count back.
                self._claims = number or self._claims

    def told(self, order: str) -> None:
        """The end of an order was told."""
        with self._lock:
            self._held.pop(order, None)
            self._seen[order] = None
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def knows(self, order: str) -> bool:
        """Whether it runs or ran here."""
        with self._lock:
            return order in self._held or order in self._seen

    def over(self, order: str) -> bool:
        """Whether it ran here, and its end was told."""
        with self._lock:
            return order in self._seen and order not in self._held

    def any(self) -> bool:
        """Whether something is held; without the lock, as a hint."""
        return bool(self._held)

    def now(self) -> tuple[int, list[str]]:
        """For a beat: the number of the last claim, and what is held."""
        with self._lock:
            return self._claims, list(self._held)
