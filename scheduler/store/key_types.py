"""Keys of a namespace that are of another type than the page of keys says: somebody else has written there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

TYPES: Final = ("hash", "list", "set", "stream", "string", "zset")
#: Keys of one step of a scan.
_PAGE: Final = 5_000
_MARK: Final = "\0"


@dataclass(frozen=True, slots=True)
class Mistyped:
    """A key, the type it has, and the one it must have."""

    key: str
    found: str
    wanted: str


class KeyTypes:
    """What type each key of one namespace must have, as the docstrings of the page of keys say it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        shapes: list[tuple[str, str]] = []
        for name, method in inspect.getmembers(Keys, inspect.isfunction):
            word = re.match(r"[a-z]+", inspect.getdoc(method) or "")
            if word and word[0] in TYPES:
                parts = [_MARK] * (len(inspect.signature(method).parameters) - 1)
                shapes.append((getattr(keys, name)(*parts), word[0]))
        # callback:parked is no entry of that name: what is said most exactly goes first.
        shapes.sort(key=lambda shape: -len(shape[0].replace(_MARK, "")))
        self._kinds = [kind for _, kind in shapes]
        # Parts of a key have no colon in them, but for those that people choose.
        self._readings = [
            re.compile("|".join(f"({_pattern(shape, part)})" for shape, _ in shapes), re.DOTALL)
            for part in ("[^:]+", ".+")
        ]

    def of(self, key: str) -> str:
        """The type a key must have; "" for one that is none of ours."""
        for reading in self._readings:
            if (match := reading.fullmatch(key)) and match.lastindex:
                return self._kinds[match.lastindex - 1]
        return ""

    def mistyped(self, client: redis.Redis) -> Iterator[Mistyped]:
        """All that are of another type, by scans of all keys. Raises StoreUnavailable."""
        for found in TYPES:
            for key in self._found(client, found):
                if (wanted := self.of(key)) not in ("", found):
                    yield Mistyped(key, found, wanted)

    def _found(self, client: redis.Redis, kind: str) -> Iterator[str]:
        """Keys of one type that may be ours; of RQ's those that are no hashes, as all jobs are."""
        looked_for = [f"*{self._keys.root}:*", self._keys.rq_queues()]
        if kind != "hash":
            looked_for.append(self._keys.rq_job("*"))
        for pattern in looked_for:
            with speaking_to(client):
                yield from cast("Any", client).scan_iter(pattern, count=_PAGE, _type=kind)


def _pattern(shape: str, part: str) -> str:
    return re.escape(shape).replace(re.escape(_MARK), part)
