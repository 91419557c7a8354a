"""At most so many messages in a window; what is beyond is counted, and told in one digest at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.events import Event, EventData
from scheduler.domain.ids import shown
from scheduler.domain.spec import duration_ms

#: Events that a digest names one by one.
NAMED = 5
_MOST = 100_000
_LONGEST_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many messages a window may have."""

    limit: int
    window_ms: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10/5m``. Raises InvalidSetting."""
        count, slash, window = text.partition("/")
        try:
            found = cls(int(count), duration_ms(window, "it"))
        except (ValueError, InvalidSpec):
            found = cls(0, 0)
        if not slash or not 1 <= found.limit <= _MOST or not 0 < found.window_ms <= _LONGEST_MS:
            problem = (
                f"it is so many messages per time, at most {_MOST} in at most 7 days,"
                f" as 10/5m; got {shown(text)}"
            )
            raise InvalidSetting(name="throttle", problem=problem)
        return found

    def __str__(self) -> str:
        return f"{self.limit}/{self.window_ms / 1000:g}s"


@dataclass(frozen=True, slots=True)
class Window:
    """What went out since its beginning, and what was held back. Kept with the cursor."""

    since: int = 0  #: ms of Redis' clock
    sent: int = 0
    held: Mapping[str, int] = field(default_factory=dict)  #: by name
    first: tuple[str, ...] = ()  #: the first of those, as `NAME of ID`

    @classmethod
    def read(cls, text: str) -> Self:
        """As `text` wrote it; "" is one without anything."""
        if not text:
            return cls()
        found = json.loads(text)
        return cls(found["since"], found["sent"], found["held"], tuple(found["first"]))

    def text(self) -> str:
        """As it is stored."""
        told: dict[str, Any] = {"since": self.since, "sent": self.sent}
        told |= {"held": dict(self.held), "first": list(self.first)}
        return json.dumps(told, separators=(",", ":"))

    def over(self, throttle: Throttle, now_ms: int) -> bool:
        """Whether its time has passed."""
        return now_ms >= self.since + throttle.window_ms

    def holds(self, throttle: Throttle, now_ms: int) -> bool:
        """Whether the next message is to be held back."""
        return not self.over(throttle, now_ms) and self.sent >= throttle.limit

    def due(self, throttle: Throttle, now_ms: int) -> bool:
        """Whether a digest is to go out before anything else."""
        return bool(self.held) and self.over(throttle, now_ms)

    def after_message(self, throttle: Throttle, now_ms: int) -> Window:
        """One more went out; the first after a window begins the next."""
        if self.over(throttle, now_ms):
            return Window(since=now_ms, sent=1)
        return replace(self, sent=self.sent + 1)

    def after_holding(self, name: str, what: str) -> Window:
        """One more was held back."""
        held = {**self.held, name: self.held.get(name, 0) + 1}
        named = f"{name} of {what}" if what else name
        first = (*self.first, named) if len(self.first) < NAMED else self.first
        return replace(self, held=held, first=first)


NOTHING_YET = Window()


@dataclass(frozen=True, kw_only=True)
class DigestEvent(Event):
    """What a throttle held back, told at once."""

    held: Mapping[str, int]
    first: tuple[str, ...]
    window_ms: int

    @property
    def count(self) -> int:
        """How many events."""
        return sum(self.held.values())

    @property
    def id(self) -> str:
        """The same each time it is told."""
        return f"digest-{self.data.id}"

    @property
    def told(self) -> str:
        """What it is about, in a line."""
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.held.items()))
        more = self.count - len(self.first)
        rest = f" and {more} more" if more > 0 else ""
        return f"{kinds}: {', '.join(self.first)}{rest}"


def digest_of(window: Window, throttle: Throttle, cursor: str) -> DigestEvent:
    """The digest of a window; the cursor is the last event's that it is about."""
    epoch, seq = map(int, cursor.split("-"))
    ends = window.since + throttle.window_ms
    data = EventData(epoch, seq, "digest", {"at": str(ends)})
    return DigestEvent(
        data=data, at_ms=ends, held=window.held, first=window.first, window_ms=throttle.window_ms
    )
