"""Brings data of an older layout up to date, whichever it has, and notes the new one once, with the last step.

Jobs of offices are listed since layout 3; for what scopes count see `store/counting_anew.py`. Everything is
worked out from the sessions themselves, so all of it may be repeated, by several replicas at once, and be
broken off at any point. Programs of the older layout must be gone: their leaders, whose
lock is looked at with every page, and their apps, which are noticed by what they do meanwhile. Agents
know no layout, and work on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import redis

from scheduler.domain.errors import MigrationRefused
from scheduler.store import counting_anew
from scheduler.store.counting import last_event
from scheduler.store.job_index import JobIndex
from scheduler.store.keys import Keys

#: How often, and after how many seconds, it is tried: a leader that was killed has its lock for 3 s.
TRIES: Final = 5
PAUSE_S: Final = 1.0
_WITHOUT_LISTS: Final = 2  #: the last layout that did not list jobs


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _quiet(_: int, __: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Means:
    """How it waits, and whom it tells how far it is: sessions looked at, of how many."""

    pause: Callable[[float], object] = _pause
    tell: Callable[[int, int], object] = _quiet


USUAL: Final = Means()


@dataclass(frozen=True, slots=True)
class Step:
    """From one layout to the next."""

    found: int
    says: str  #: what it does

    @property
    def target(self) -> int:
        """The layout it leads to."""
        return self.found + 1


STEPS: Final = (
    Step(1, "count anew what every scope holds and what waits in it"),
    Step(2, "list the jobs of every office by state and by role"),
    Step(3, "keep what all scopes count, worked out anew, and their limits in one hash each"),
)


def bring_up_to_date(
    client: redis.Redis, keys: Keys, versions: tuple[int, int], means: Means = USUAL
) -> None:
    """From a layout to another. Raises MigrationRefused, StoreUnavailable."""
    why = ""
    for attempt in range(TRIES):
        if attempt:
            means.pause(PAUSE_S)
        word, *rest = _take(client, keys, versions, means)
        if word in ("finished", "known"):
            return
        why = (
            f"a replica of an older version leads group {rest[0]}; stop all that are older"
            if word == "led"
            else "something still writes to it; stop all replicas and apps of the older version"
        )
    raise MigrationRefused(namespace=keys.root, known=versions[1], why=why)


def _take(client: redis.Redis, keys: Keys, versions: tuple[int, int], means: Means) -> list[Any]:
    """All steps at once: the lists of jobs, which no older program reads, then what scopes have."""
    mark = last_event(client, keys)
    if versions[0] <= _WITHOUT_LISTS:
        answer = _list_jobs(client, keys, versions[0], means)
        if answer[0] != "listed":
            return answer
    return counting_anew.write(client, keys, versions, mark)


def _list_jobs(client: redis.Redis, keys: Keys, version: int, means: Means) -> list[Any]:
    """What is listed already is only looked at: what was broken off goes on where it ended."""
    index, done = JobIndex(client, keys), 0
    total = index.sessions()
    for page in index.look():
        answer = index.put_right(page.misplaced, version, guarded=True)
        if answer[0] != "listed":
            return answer
        done += page.sessions
        means.tell(done, total)
    return ["listed"]
