"""Brings data of an older layout up to date: from layout 1, which did not count what scopes have.

Everything is worked out from the sessions and written whole, in pages, only while nothing happens: so
it may be repeated, by several replicas at once, and be broken off at any point.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, TypeAlias, cast

import redis

from scheduler.domain.errors import MigrationRefused
from scheduler.domain.scope import Scope
from scheduler.observability.logs import get_logger
from scheduler.store.connection import speaking_to
from scheduler.store.counting import Counted, count_anew
from scheduler.store.keys import Keys
from scheduler.store.script import Script

#: How often, and after how many seconds, it is tried: a leader that was killed has its lock for 3 s.
TRIES: Final = 5
PAUSE_S: Final = 1.0
_PAGE: Final = 200
_Items: TypeAlias = list[dict[str, Any]]
_REBUILD = Script.load("schema/rebuild")


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def bring_up_to_date(
    client: redis.Redis,
    keys: Keys,
    versions: tuple[int, int],
    pause: Callable[[float], object] = _pause,
) -> None:
    """From a layout to another. Raises MigrationRefused, StoreUnavailable."""
    found, target = versions
    log, why = get_logger(namespace=keys.root), ""
    for attempt in range(TRIES):
        if attempt:
            pause(PAUSE_S)
        word, *rest = _write(client, keys, versions, count_anew(client, keys))
        if word in ("finished", "known"):
            log.info("schema.migrated", found=found, now=target)
            return
        why = (
            f"a replica of an older version leads group {rest[0]}; stop all that are older"
            if word == "led"
            else "something still writes to it; stop all replicas and apps of the older version"
        )
    raise MigrationRefused(namespace=keys.root, known=target, why=why)


def _write(
    client: redis.Redis, keys: Keys, versions: tuple[int, int], counted: Counted
) -> list[Any]:
    """Every page, the new version with the last one; or what forbade it."""
    scopes = [
        {"kind": scope.kind, "name": scope.name, "fields": _flat(counted, scope)}
        for scope in sorted({*counted.fields, *_counting(client, keys)})
    ]
    held = [{"session": session, "charge": text} for session, text in counted.held.items()]
    parts: list[tuple[_Items, _Items]] = [(page, []) for page in _cut(scopes)]
    parts += [([], page) for page in _cut(held)]
    answer: list[Any] = []
    for index, (some, more) in enumerate(parts or [([], [])], start=1):
        with speaking_to(client):
            answer = _REBUILD(
                client,
                keys.root,
                version=versions[0],
                target=versions[1],
                mark=counted.mark,
                scopes=some,
                held=more,
                last=int(index >= len(parts)),
            )
        if answer[0] != "written":
            break
    return answer


def _flat(counted: Counted, scope: Scope) -> list[str]:
    fields = counted.fields.get(scope, Counter[str]())
    return [part for name, number in fields.items() if number for part in (name, str(number))]


def _counting(client: redis.Redis, keys: Keys) -> set[Scope]:
    """Scopes that count anything now, as after an attempt that was broken off."""
    prefix = keys.scope_use("", "")[:-1]
    with speaking_to(client):
        names = list(cast("Any", client).scan_iter(f"{prefix}*", count=1000))
    return {Scope(*name.removeprefix(prefix).split(":", 1)) for name in names}


def _cut(items: _Items) -> list[_Items]:
    rest = iter(items)
    return list(iter(lambda: list(islice(rest, _PAGE)), []))
