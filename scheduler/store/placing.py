"""Packs placements as `leader/place` reads them: what many of them share is named by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import orjson

from scheduler.store.script import Sent

if TYPE_CHECKING:  # see `leadership`
    from scheduler.domain.moves import Place


class Applying:
    """A batch of placements on its way into Redis: packed, then sent, then answered.

    Those of a term that are under way at once follow each other over one connection, so Redis runs them in
    the order in which they were sent. With the connection all of them are lost.
    """

    def __init__(self, send: Callable[[], Sent], take: Callable[[Sent], list[str]]) -> None:
        self._send = send
        self._take = take
        self._sent: Sent | None = None

    def send(self) -> Self:
        """Let Redis commit it, and go on with other work. Raises StoreUnavailable."""
        self._sent = self._send()
        return self

    def words(self) -> list[str]:
        """Wait; the word of each placement. Raises Deposed, StoreUnavailable."""
        sent, self._sent = self._sent, None
        return self._take(sent) if sent is not None else []

    def give_up(self) -> None:
        """Wait until it has run, if it runs, and look at nothing."""
        if self._sent is not None:
            self._sent.give_up()


def batch_of(placements: Sequence[Place]) -> dict[str, Any]:
    """The batch of the script's header. Numbers count from 1, as Lua's tables do."""
    shared = _Shared()
    places = [
        {
            "session": place.session,
            "placement": place.placement,
            "agents": place.agents,
            "kernels": [shared.kernel(kernel) for kernel in place.kernels],
            "held": shared.charge(place.held),
            "timer": place.timer,
            "timeout": place.timeout,
        }
        for place in placements
    ]
    return {
        "agents": [[*agent, *slots] for agent, slots in shared.agents.items()],
        "slots": shared.slots,
        "charges": list(shared.charges),
        "places": places,
    }


class _Shared:
    """What was named so far."""

    def __init__(self) -> None:
        self.agents: dict[tuple[str, str], dict[str, None]] = {}  #: by id and boot, its slots
        self.slots: list[tuple[str, list[Any]]] = []
        self.charges: dict[str, int] = {}
        self._agents: dict[tuple[str, str], int] = {}
        self._slots: dict[tuple[tuple[str, int], ...], int] = {}

    def kernel(self, kernel: Mapping[str, Any]) -> tuple[int, int, str]:
        """A kernel as the numbers of its agent and its slots, and its order."""
        agent, slots = (kernel["agent"], kernel["boot"]), kernel["slots"]
        number = self._agents.get(agent)
        if number is None:
            number = self._agents[agent] = len(self._agents) + 1
            self.agents[agent] = {}
        # In the order of their first use, which a dictionary keeps and a set would not.
        named = self.agents[agent]
        for slot in slots:
            named[slot] = None
        return number, self._slots_number(slots), kernel["order"]

    def _slots_number(self, slots: Mapping[str, int]) -> int:
        key = tuple(slots.items())
        number = self._slots.get(key)
        if number is None:
            number = self._slots[key] = len(self._slots) + 1
            flat = [part for pair in key for part in pair]
            self.slots.append((orjson.dumps(slots).decode(), flat))
        return number

    def charge(self, held: str) -> int:
        """The number of what a session charges its scopes."""
        return self.charges.setdefault(held, len(self.charges) + 1)
