"""The repository of subscribers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from scheduler.domain.errors import SubscriberExists, SubscriberNotFound
from scheduler.domain.subscriber import SubscriberData, check_subscriber
from scheduler.domain.throttle import Throttle, Window
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_ADD = Script.load("subscriber/add")
_ADVANCE = Script.load("subscriber/advance")
_DIGEST = Script.load("subscriber/digest")
_FAIL = Script.load("subscriber/fail")
_RESUME = Script.load("subscriber/resume")
_PROBE = Script.load("subscriber/probe")
_REMOVE = Script.load("subscriber/remove")


@dataclass(frozen=True, slots=True)
class Failed:
    """A delivery that did not succeed."""

    why: str
    delay_ms: int  #: until it is tried again
    limit: int  #: failures in a row that park the subscriber


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber is to get: events by name or pattern, and how many at most."""

    events: Sequence[str]
    throttle: Throttle | None = None


class SubscriberRepository:
    """Subscribers of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def add(
        self,
        name: str,
        kind: str,
        opts: Mapping[str, Any],
        wanted: Wanted | Sequence[str],
        cursor: str,
    ) -> None:
        """Add a subscriber that gets what comes after an event. Raises InvalidSetting, SubscriberExists."""
        asked = wanted if isinstance(wanted, Wanted) else Wanted(wanted)
        check_subscriber(name, asked.events)
        fields = {
            "kind": kind,
            "opts": json.dumps(dict(opts), sort_keys=True),
            "events": " ".join(asked.events),
            "cursor": cursor,
            "throttle": str(asked.throttle or ""),
        }
        if self._run(_ADD, name, **fields) == "exists":
            raise SubscriberExists(name=name)

    def names(self) -> list[str]:
        """All subscribers."""
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.subscribers())))

    def get(self, name: str) -> SubscriberData:
        """One subscriber. Raises SubscriberNotFound."""
        found = self.many([name])
        if not found:
            raise SubscriberNotFound(name=name)
        return found[0]

    def many(self, names: Iterable[str]) -> list[SubscriberData]:
        """Those of the given names that exist."""
        wanted = list(names)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for name in wanted:
                pipe.hgetall(self._keys.subscriber(name))
            found = pipe.execute()
        return [_read(name, row) for name, row in zip(wanted, found, strict=True) if row]

    def due_in_s(self, subscriber: SubscriberData) -> float:
        """Seconds until its back-off is over, by Redis' clock; 0 where there is none."""
        if not subscriber.next_at:
            return 0.0
        return max(0.0, (subscriber.next_at - self.now_ms()) / 1000)

    def now_ms(self) -> int:
        """Redis' clock, by which throttles and back-offs are counted."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def advance(
        self,
        subscriber: SubscriberData,
        to: str,
        *,
        delivered: int = 0,
        gaps: int = 0,
        window: Window | None = None,
    ) -> bool:
        """Move its cursor behind an event; False where another replica did, or it was removed.

        ``window`` is its throttle's after that event; None leaves it as it is.
        """
        steps = {"from": subscriber.cursor, "to": to, "delivered": delivered, "gaps": gaps}
        text = window.text() if window is not None else ""
        return self._run(_ADVANCE, subscriber.name, **steps, window=text) == "done"

    def digested(self, subscriber: SubscriberData, after: Window) -> bool:
        """Note that the digest of its window was taken; False where another replica did."""
        steps = {"from": subscriber.window.text(), "to": after.text()}
        return self._run(_DIGEST, subscriber.name, **steps) == "done"

    def fail(self, subscriber: SubscriberData, failed: Failed) -> str:
        """Note a failed delivery, once; ``again``, ``parked``, ``moved`` or ``gone``."""
        return self._run(
            _FAIL,
            subscriber.name,
            **{
                "from": subscriber.cursor,
                "seen": subscriber.failures,
                "why": failed.why,
                "delay": failed.delay_ms,
                "limit": failed.limit,
            },
        )

    def resume(self, name: str, passing_over: str = "", *, dropping: Window | None = None) -> str:
        """Give it events again, without the one named, or without the digest of a window.

        ``resumed`` or ``running``. Raises SubscriberNotFound.
        """
        window = dropping.text() if dropping is not None else ""
        return self._known(name, self._run(_RESUME, name, to=passing_over, window=window))

    def probe(self, name: str, every_ms: int, within_ms: int) -> str:
        """Give a parked one its next event once more, if it was parked for so long, and not for too long.

        ``probed``, ``waits``, ``over``, ``running`` or ``gone``.
        """
        return self._run(_PROBE, name, every=every_ms, within=within_ms)

    def remove(self, name: str) -> None:
        """Forget it. Raises SubscriberNotFound."""
        self._known(name, self._run(_REMOVE, name))

    def _run(self, script: Script, name: str, **arguments: Any) -> str:
        with speaking_to(self._client):
            return str(script(self._client, self._keys.root, name=name, **arguments)[0])

    @staticmethod
    def _known(name: str, word: str) -> str:
        if word == "gone":
            raise SubscriberNotFound(name=name)
        return word


def _read(name: str, row: Mapping[str, str]) -> SubscriberData:
    numbers = {
        field: int(row.get(field, 0))
        for field in ("delivered", "failed", "failures", "next_at", "gaps", "chances")
    }
    parked, down, throttle = (row.get(field) for field in ("parked_at", "down_since", "throttle"))
    return SubscriberData(
        name=name,
        kind=row["kind"],
        opts=json.loads(row["opts"]),
        events=tuple(row["events"].split()),
        cursor=row["cursor"],
        error=row.get("error", ""),
        parked_at=int(parked) if parked else None,
        down_since=int(down) if down else None,
        throttle=Throttle.parse(throttle) if throttle else None,
        window=Window.read(row.get("window", "")),
        **numbers,
    )
