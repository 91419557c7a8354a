"""When what runs on the agents ends at the latest, told by its deadlines.

Kept by whoever changes the picture: the cycle when it places, the leader when it learns more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

#: From a commit until the kernels are up, and from a deadline until the slots are back. Both are
#: longer than they usually take, so that a promise is not broken by how long a process takes to start.
START_MS, STOP_MS = 5_000, 5_000
#: Whoever is still there so long after its end cannot be counted on to end at all.
STUCK_MS = 60_000
#: Changes that are remembered for `take_changed`; more, and everything is told anew.
_REMEMBERED = 20_000


class Kernel(Protocol):
    """What a kernel holds: a binding of the cycle, a placed kernel of the board."""

    @property
    def agent(self) -> str: ...
    @property
    def slots(self) -> Mapping[str, int]: ...


def end_of(now_ms: int, timeout_ms: int) -> int:
    """When a session that is placed now is gone at the latest."""
    return now_ms + START_MS + timeout_ms + STOP_MS


class Held(NamedTuple):
    """What one placed session holds, and until when at the latest (ms of Redis' clock)."""

    ends_ms: int
    kernels: Sequence[Kernel]


class Releases:
    """The placed sessions of a group; by agent, too, from when that was asked for first.

    Where nobody waits for room nobody asks, and a placement costs one entry.
    """

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._on: dict[str, dict[str, Held]] | None = None
        self._changed: set[str] | None = None

    def __len__(self) -> int:
        return len(self._held)

    def get(self, session: str) -> Held | None:
        """What a session holds, or None."""
        return self._held.get(session)

    def hold(self, session: str, ends_ms: int, kernels: Sequence[Kernel]) -> None:
        """A session holds this, and nothing else, until then."""
        held = Held(ends_ms, kernels)
        if session in self._held:
            self.drop(session)
        self._held[session] = held
        if self._on is not None:
            self._index(self._on, session, held)
        if self._changed is not None:
            self._note(self._changed, session)

    def drop(self, session: str) -> None:
        """A session holds nothing any more."""
        held = self._held.pop(session, None)
        if held is None:
            return
        if self._on is not None:
            for kernel in held.kernels:
                self._on[kernel.agent].pop(session, None)
        if self._changed is not None:
            self._note(self._changed, session)

    def on(self, agent: str) -> Iterator[tuple[int, Mapping[str, int]]]:
        """When each kernel on an agent is gone at the latest, and the slots it gives back then."""
        if self._on is None:
            self._on = {}
            for session, held in self._held.items():
                self._index(self._on, session, held)
        for held in self._on.get(agent, {}).values():
            for kernel in held.kernels:
                if kernel.agent == agent:
                    yield held.ends_ms, kernel.slots

    def sessions(self) -> Iterator[tuple[str, Held]]:
        """All that is held."""
        return iter(self._held.items())

    def take_changed(self) -> set[str] | None:
        """Sessions that changed since this was asked last; None where that is not known: all may have."""
        changed, self._changed = self._changed, set()
        return changed

    @staticmethod
    def _index(on: dict[str, dict[str, Held]], session: str, held: Held) -> None:
        for kernel in held.kernels:
            on.setdefault(kernel.agent, {})[session] = held

    def _note(self, changed: set[str], session: str) -> None:
        changed.add(session)
        if len(changed) > _REMEMBERED:
            # Nobody has asked for long.
            self._changed = self._on = None
