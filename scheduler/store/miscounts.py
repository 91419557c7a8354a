"""Finds where a scope counts what is not there, and puts it right, while sessions move.

Every script counts in step with what it moves. But what waits is counted by its request: if that, or the
session's own record, is lost, nobody can give back what it counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import redis

from scheduler.domain.scope import Scope
from scheduler.store.connection import speaking_to
from scheduler.store.counting import Count, Counted, last_event
from scheduler.store.counting_anew import text_of
from scheduler.store.keys import Keys
from scheduler.store.scopes import ScopeRepository, counts_from
from scheduler.store.script import Script

_COUNT = Script.load("scope/count")
#: How often suspects are compared: each time takes some ms, and counts if nothing happened in them.
TRIES: Final = 50
#: How often all sessions are walked through, where events are trimmed before they can be read.
_WALKS: Final = 3
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Miscount:
    """One number of a scope that is not what it should be; slots in their own units."""

    scope: Scope
    field: str  #: "pending", "pending:FAMILY" or "slots:FAMILY"
    counts: int
    there_are: int

    @property
    def says(self) -> str:
        """In a sentence."""
        return f"scope {self.scope} counts {self.field} {self.counts}, there are {self.there_are}"


class ScopeCounts:
    """What the scopes of one namespace count, against their sessions. Raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def miscounts(self) -> list[Miscount] | None:
        """What is wrong; None where sessions moved all the time, so that nobody can tell."""
        return self._look(mend=False)

    def mend(self) -> list[Miscount] | None:
        """Put right what is wrong; what that was, or None where sessions moved all the time."""
        return self._look(mend=True)

    def _look(self, *, mend: bool) -> list[Miscount] | None:
        count = Count(self._client, self._keys)
        suspects = {*ScopeRepository(self._client, self._keys).counting(), *count.catch_up().fields}
        for _ in range(TRIES):
            counted = count.catch_up()
            if count.walks > _WALKS:
                break
            found = list(self._compare(counted, suspects))
            suspects = {wrong.scope for wrong in found}
            if not found:
                return []
            if self._write(counted, suspects) if mend else self._stands(counted):
                return found
        return None

    def _compare(self, counted: Counted, scopes: Iterable[Scope]) -> Iterator[Miscount]:
        for page in _pages(sorted(scopes)):
            with speaking_to(self._client):
                stored = self._client.hmget(self._keys.scope_use(), list(map(str, page)))
            for scope, text in zip(page, cast("list[str | None]", stored), strict=True):
                counts = counts_from(text)
                should: Mapping[str, int] = counted.fields.get(scope, {})
                for name in sorted({*counts, *should}):
                    pair = counts.get(name, 0), should.get(name, 0)
                    if pair[0] != pair[1]:
                        yield Miscount(scope, name, *pair)

    def _stands(self, counted: Counted) -> bool:
        return last_event(self._client, self._keys) == counted.mark

    def _write(self, counted: Counted, scopes: Iterable[Scope]) -> bool:
        """Whether all were written; what was not is compared again."""
        for page in _pages(sorted(scopes)):
            with speaking_to(self._client):
                word = _COUNT(
                    self._client,
                    self._keys.root,
                    mark=counted.mark,
                    counts={str(scope): text_of(counted, scope) for scope in page},
                )[0]
            if word != "counted":
                return False
        return True


def _pages(scopes: Iterable[Scope]) -> Iterator[list[Scope]]:
    rest = iter(scopes)
    while page := list(islice(rest, _PAGE)):
        yield page
