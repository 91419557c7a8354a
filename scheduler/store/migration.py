"""Brings data of an older layout up to date, one layout after the other.

1 -> 2: scopes count what they have; see `store/counting_anew.py`. 2 -> 3: jobs of offices are listed.
Everything is worked out from the sessions themselves, so each step may be repeated, by several replicas
at once, and be broken off at any point. Programs of the older layout must be gone: their leaders, whose
lock is looked at with every page, and their apps, which are noticed by what they do meanwhile. Agents
know no layout, and work on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
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
)


def bring_up_to_date(
    client: redis.Redis, keys: Keys, versions: tuple[int, int], means: Means = USUAL
) -> None:
    """From a layout to another. Raises MigrationRefused, StoreUnavailable."""
    for step in STEPS:
        if versions[0] <= step.found < versions[1]:
            _take(client, keys, step, means)


def _take(client: redis.Redis, keys: Keys, step: Step, means: Means) -> None:
    why = ""
    for attempt in range(TRIES):
        if attempt:
            means.pause(PAUSE_S)
        word, *rest = _WAYS[step.found](client, keys, step, means)
        if word in ("finished", "known"):
            return
        why = (
            f"a replica of an older version leads group {rest[0]}; stop all that are older"
            if word == "led"
            else "something still writes to it; stop all replicas and apps of the older version"
        )
    raise MigrationRefused(namespace=keys.root, known=step.target, why=why)


def _count(client: redis.Redis, keys: Keys, step: Step, _: Means) -> list[Any]:
    return counting_anew.write(client, keys, (step.found, step.target))


def _list_jobs(client: redis.Redis, keys: Keys, step: Step, means: Means) -> list[Any]:
    """What is listed already is only looked at: a step that was broken off goes on where it ended."""
    mark, index, done = last_event(client, keys), JobIndex(client, keys), 0
    total = index.sessions()
    for page in index.look():
        answer = index.put_right(page.misplaced, step.found, guarded=True)
        if answer[0] != "listed":
            return answer
        done += page.sessions
        means.tell(done, total)
    return counting_anew.stamp(client, keys, (step.found, step.target), mark)


_WAYS: Final[Mapping[int, Callable[[redis.Redis, Keys, Step, Means], list[Any]]]] = {
    1: _count,
    2: _list_jobs,
}
