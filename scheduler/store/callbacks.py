"""The outbox of callbacks: a lane per host, held by whoever posts there, parked after hours of failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from scheduler.domain.callback import KEPT_MS, Callback, GivenUp, Lane
from scheduler.store.connection import speaking_to
from scheduler.store.glance import Glance
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_TAKE: Final = Script.load("callback/take")
_DONE: Final = Script.load("callback/done")
_FAIL: Final = Script.load("callback/fail")
_RESUME: Final = Script.load("callback/resume")
_AGAIN: Final = Script.load("callback/again")
#: Callbacks that one script puts back: 100 cost Redis less than 2 ms.
_BATCH: Final = 100
#: Texts of one callback in the answer of `callback/take`.
_TAKEN: Final = 11


@dataclass(frozen=True, slots=True)
class Taken:
    """A callback on its way."""

    callback: Callback
    held: str  #: until when its lane is held, as the outbox knows it
    lane_failures: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A callback that its receiver did not take. Times in ms."""

    why: str
    delay: int  #: until it is tried again
    hold: int  #: until anything else is posted to its host; 0 where the host answered
    patience: int  #: how long it is tried; 0 parks it at once


class CallbackRepository:
    """Callbacks of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._glance = Glance(client)

    def anything(self) -> bool:
        """Whether there is any callback at all, or it cannot be told. For one thread, which looks often."""
        found = self._glance.at(("EXISTS", self._keys.callback_lanes()))
        return found is None or bool(found[0])

    def take(self, limit: int, lease_ms: int) -> list[Taken]:
        """The first due callback of each lane that nobody holds; they are held from now on."""
        texts = self._run(_TAKE, limit=limit, lease=lease_ms)[1:]
        rows = [texts[start : start + _TAKEN] for start in range(0, len(texts), _TAKEN)]
        return [_taken(row) for row in rows]

    def done(self, taken: Taken) -> None:
        """Its receiver took it."""
        self._run(_DONE, **_of(taken))

    def fail(self, taken: Taken, failed: Undelivered) -> str:
        """Its receiver did not; ``again``, ``parked``, ``moved`` or ``gone``."""
        asked = {"seen": taken.callback.failures, "why": failed.why, "delay": failed.delay}
        asked |= {"hold": failed.hold, "patience": failed.patience, "kept": KEPT_MS}
        return str(self._run(_FAIL, **_of(taken), **asked)[0])

    def resume(self, entry: str) -> bool:
        """Try a parked one again; whether there was one."""
        return bool(self._run(_RESUME, entry=entry)[0] == "resumed")

    def lanes(self) -> list[Lane]:
        """What waits, by host."""
        keys, client = self._keys, self._client
        with speaking_to(client):
            due = cast(
                "list[tuple[str, float]]",
                client.zrange(keys.callback_lanes(), 0, -1, withscores=True),
            )
            failures = cast("Mapping[str, str]", client.hgetall(keys.callback_failures()))
            with client.pipeline(transaction=False) as pipe:
                for lane, _ in due:
                    pipe.zcard(keys.callback_lane(lane))
                    pipe.zrange(keys.callback_lane(lane), 0, 0)
                found = pipe.execute()
        firsts = [entry for entries in found[1::2] for entry in entries]
        errors = {c.lane: c.error for c in self.many(firsts)}
        return [
            Lane(lane, count, int(at), int(failures.get(lane, 0)), errors.get(lane, ""))
            for (lane, at), count in zip(due, found[::2], strict=True)
        ]

    def parked(self, limit: int) -> list[Callback]:
        """Those that were given up, the newest first."""
        with speaking_to(self._client):
            entries = self._client.zrevrange(self._keys.callbacks_parked(), 0, limit - 1)
        return self.many(cast("list[str]", entries))

    def given_up(self, since_ms: int, limit: int) -> list[GivenUp]:
        """Those that were parked at a time or after it, the first of them first."""
        keys = self._keys
        with speaking_to(self._client):
            found = cast(
                "list[tuple[str, float]]",
                self._client.zrangebyscore(
                    keys.callbacks_parked(), since_ms, "+inf", 0, limit, withscores=True
                ),
            )
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for entry, _ in found:
                pipe.hmget(keys.callback(entry), "to", "since", "for_good")
            rows = pipe.execute()
        return [
            GivenUp(entry, to.partition(" ")[0], int(at), int(since or 0), for_good == "1")
            for (entry, at), (to, since, for_good) in zip(found, rows, strict=True)
            if to
        ]

    def hosts(self, lanes: Iterable[str]) -> tuple[dict[str, int], set[str]]:
        """When hosts took a callback last, while others were parked; and those for which some wait."""
        named = list(lanes)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._keys.callback_took())
            for lane in named:
                pipe.exists(self._keys.callback_lane(lane))
            took, *waiting = pipe.execute()
        busy = {lane for lane, some in zip(named, waiting, strict=True) if some}
        return {lane: int(at) for lane, at in took.items()}, busy

    def again(self, entries: Sequence[str]) -> int:
        """Put parked ones on the outbox once more, for one try each; how many."""
        return sum(
            int(self._run(_AGAIN, entries=list(entries[start : start + _BATCH]))[1])
            for start in range(0, len(entries), _BATCH)
        )

    def now_ms(self) -> int:
        """Redis' clock."""
        with speaking_to(self._client):
            seconds, micros = self._client.time()
        return seconds * 1000 + micros // 1000

    def counts(self) -> tuple[int, int]:
        """How many wait, and how many are parked."""
        keys = self._keys
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for lane in cast("list[str]", self._client.zrange(keys.callback_lanes(), 0, -1)):
                pipe.zcard(keys.callback_lane(lane))
            pipe.zcard(keys.callbacks_parked())
            *waiting, parked = pipe.execute()
        return sum(waiting), parked

    def many(self, entries: Iterable[str]) -> list[Callback]:
        """Those of some entries that exist."""
        wanted = list(entries)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for entry in wanted:
                pipe.hgetall(self._keys.callback(entry))
            rows = pipe.execute()
        return list(_read(dict(zip(wanted, rows, strict=True))))

    def _run(self, script: Script, **arguments: Any) -> list[Any]:
        with speaking_to(self._client):
            return script(self._client, self._keys.root, **arguments)


def _of(taken: Taken) -> dict[str, str]:
    return {"entry": taken.callback.entry, "lane": taken.callback.lane, "held": taken.held}


def _taken(row: list[str]) -> Taken:
    entry, lane, to, session, state, reason, attempt, ended_at, failures, held, unanswered = row
    url = to.partition(" ")[2]
    callback = Callback(
        entry, session, lane, url, state, reason, int(attempt), int(ended_at), int(failures)
    )
    return Taken(callback, held, int(unanswered))


def _read(rows: Mapping[str, Mapping[str, str]]) -> Iterator[Callback]:
    for entry, row in rows.items():
        if not row:
            continue
        lane, _, url = row["to"].partition(" ")
        parked = row.get("parked_at")
        yield Callback(
            entry=entry,
            session=row["session"],
            lane=lane,
            url=url,
            state=row["state"],
            reason=row["reason"],
            attempt=int(row["attempt"]),
            ended_at=int(row["ended_at"]),
            failures=int(row.get("failures", 0)),
            error=row.get("error", ""),
            parked_at=int(parked) if parked else None,
            chances=int(row.get("chances", 0)),
        )
