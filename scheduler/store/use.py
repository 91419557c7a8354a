"""The repository of use: what kernels that are over held, and for how long, by day, owner and family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import redis

from scheduler.domain.share import Used
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

#: Of a day's hash the field that counts its changes; lib/count_use.lua.
_CHANGES = ""


class UseRepository:
    """Use of the groups of one namespace. Recorded by the script in which a kernel ends."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def read(self, group: str, today: int, days: int) -> dict[int, Used]:
        """What was used today and on the days before it, so many in all. Raises StoreUnavailable."""
        return UseFollower(self, group).read(today, days)

    def changes(self, group: str, days: list[int]) -> dict[int, str]:
        """How often each of the given days changed; those without use are missing."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for day in days:
                pipe.hget(self._keys.use(group, str(day)), _CHANGES)
            # A key that is no hash is left out, as what is spoilt in one is.
            found = pipe.execute(raise_on_error=False)
        return {day: text for day, text in zip(days, found, strict=True) if isinstance(text, str)}

    def day(self, group: str, day: int) -> tuple[str, Used]:
        """How often a day changed, and what was used on it; what makes no sense is left out."""
        with speaking_to(self._client):
            row = cast("dict[str, str]", self._client.hgetall(self._keys.use(group, str(day))))
        return row.pop(_CHANGES, ""), _by_owner(row)


class UseFollower:
    """Reads the days of one group again and again, each only when it has changed."""

    def __init__(self, repository: UseRepository, group: str) -> None:
        self._repository = repository
        self._group = group
        self._known: dict[int, tuple[str, Used]] = {}

    def read(self, today: int, days: int) -> dict[int, Used]:
        """As of the repository; a day that did not change is the same object again."""
        now = self._repository.changes(self._group, list(range(today - days + 1, today + 1)))
        known, self._known = self._known, {}
        for day, changes in now.items():
            before = known.get(day)
            self._known[day] = (
                before
                if before is not None and before[0] == changes
                else self._repository.day(self._group, day)
            )
        return {day: used for day, (_, used) in self._known.items()}


def _by_owner(row: Mapping[str, str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for field, text in row.items():
        owner, _, family = field.rpartition("\n")
        try:
            amount = int(text)
        except ValueError:  # one spoilt number must not keep a leader from placing
            continue
        families = found.get(owner)
        if families is None:
            found[owner] = {family: amount}
        else:
            families[family] = amount
    return found
