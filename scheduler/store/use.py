"""The repository of use: what kernels that are over held, and for how long, by day, owner and family."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import redis

from scheduler.domain.share import UsedByDay
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys


class UseRepository:
    """Use of the groups of one namespace. Recorded by the script in which a kernel ends."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def read(self, group: str, today: int, days: int) -> UsedByDay:
        """What was used today and on the days before it, so many in all. Raises StoreUnavailable."""
        wanted = range(today, today - days, -1)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for day in wanted:
                pipe.hgetall(self._keys.use(group, str(day)))
            found = pipe.execute()
        return {day: _by_owner(row) for day, row in zip(wanted, found, strict=True) if row}


def _by_owner(row: Mapping[str, str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for field, text in row.items():
        owner, _, family = field.rpartition("\n")
        with suppress(ValueError):  # one spoilt number must not keep a leader from placing
            found.setdefault(owner, {})[family] = int(text)
    return found
