"""The repository of how long jobs ran: a digest per office and role, fed by the moves that end them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import redis

from scheduler.domain.durations import Durations
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_FOLD = Script.load("office/fold_durations")
_TIMED_OUT: Final = "timed_out"
_PAGE: Final = 500


class DurationRepository:
    """Digests of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def read(self, office: str) -> dict[str, Durations]:
        """The digests of an office by role ("" is none)."""
        with speaking_to(self._client):
            # Members of one score are ordered by their bytes: these are all that begin with "office/".
            named = cast(
                "list[str]",
                self._client.zrangebylex(self._keys.digests(), f"[{office}/", f"({office}0"),
            )
        jobs = [office, *named]
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hgetall(self._keys.durations(job))
            found = pipe.execute()
        return {
            job.partition("/")[2]: _durations(row)
            for job, row in zip(jobs, found, strict=True)
            if row
        }

    def each(self) -> Iterator[str]:
        """Every ``office`` or ``office/role`` with a digest, in pages; what comes or goes meanwhile may be missed."""
        after = "-"
        while True:
            with speaking_to(self._client):
                page = cast(
                    "list[str]",
                    self._client.zrangebylex(self._keys.digests(), after, "+", 0, _PAGE),
                )
            yield from page
            if len(page) < _PAGE:
                return
            after = f"({page[-1]}"

    def fold(self, job: str, most: int) -> str:
        """Halve a digest of more than so many runs; ``folded``, ``small`` or ``gone``."""
        with speaking_to(self._client):
            return str(_FOLD(self._client, self._keys.root, job=job, most=most)[0])


def _durations(row: dict[str, str]) -> Durations:
    counts = {int(bucket): int(count) for bucket, count in row.items() if bucket != _TIMED_OUT}
    return Durations(counts, int(row.get(_TIMED_OUT, 0)))
