"""When what runs on the agents ends at the latest, told by its deadlines.

Kept by whoever changes the picture: the cycle when it places, the leader when it learns more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: From a commit until the kernels are up, and from a deadline until the slots are back. Both are
#: longer than they usually take, so that a promise is not broken by how long a process takes to start.
START_MS, STOP_MS = 5_000, 5_000
#: Whoever is still there so long after its end cannot be counted on to end at all.
STUCK_MS = 60_000
#: Changes that are remembered for `take_changed`; more, and everything is told anew.
_REMEMBERED = 20_000

Kernel = tuple[str, Mapping[str, int]]  #: agent, device slots


def end_of(now_ms: int, timeout_ms: int) -> int:
    """When a session that is placed now is gone at the latest."""
    return now_ms + START_MS + timeout_ms + STOP_MS


@dataclass(frozen=True, slots=True)
class Held:
    """What one placed session holds, and until when at the latest (ms of Redis' clock)."""

    ends_ms: int
    kernels: tuple[Kernel, ...]


class Releases:
    """The placed sessions of a group, by session and by agent."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._on: dict[str, dict[str, Held]] = {}
        #: Whoever asks for changes is told of them from then on; nobody may.
        self._changed: set[str] | None = None

    def __len__(self) -> int:
        return len(self._held)

    def get(self, session: str) -> Held | None:
        """What a session holds, or None."""
        return self._held.get(session)

    def hold(self, session: str, ends_ms: int, kernels: Sequence[Kernel]) -> None:
        """A session holds this, and nothing else, until then."""
        held = Held(ends_ms, tuple(kernels))
        if self._held.get(session) == held:
            return
        self.drop(session)
        self._held[session] = held
        for agent, _ in held.kernels:
            self._on.setdefault(agent, {})[session] = held
        self._note(session)

    def drop(self, session: str) -> None:
        """A session holds nothing any more."""
        held = self._held.pop(session, None)
        for agent, _ in held.kernels if held else ():
            there = self._on.get(agent)
            if there is not None:
                there.pop(session, None)
                if not there:
                    del self._on[agent]
        if held is not None:
            self._note(session)

    def on(self, agent: str) -> Iterator[tuple[int, Mapping[str, int]]]:
        """When each kernel on an agent is gone at the latest, and the slots it gives back then."""
        for held in self._on.get(agent, {}).values():
            for where, slots in held.kernels:
                if where == agent:
                    yield held.ends_ms, slots

    def sessions(self) -> Iterator[tuple[str, Held]]:
        """All that is held."""
        return iter(self._held.items())

    def take_changed(self) -> set[str] | None:
        """Sessions that changed since this was asked last; None where that is not known: all may have."""
        changed, self._changed = self._changed, set()
        return changed

    def _note(self, session: str) -> None:
        if self._changed is not None:
            self._changed.add(session)
            if len(self._changed) > _REMEMBERED:
                self._changed = None
