"""From layout 1, which did not count what scopes have: it is counted, and written whole, in pages.

Only while nothing happens: what was written for a moment that is over is written anew.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any, Final, TypeAlias, cast

import redis

from scheduler.domain.scope import Scope
from scheduler.store.connection import speaking_to
from scheduler.store.counting import Counted, count_anew
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_PAGE: Final = 200
_Items: TypeAlias = list[dict[str, Any]]
_REBUILD = Script.load("schema/rebuild")


def write(client: redis.Redis, keys: Keys, versions: tuple[int, int]) -> list[Any]:
    """Every page, the new version with the last one; or what forbade it."""
    counted = count_anew(client, keys)
    scopes = [told(counted, scope) for scope in sorted({*counted.fields, *counting(client, keys)})]
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


def told(counted: Counted, scope: Scope) -> dict[str, Any]:
    """What a scope should count, as scripts read it."""
    fields = counted.fields.get(scope, Counter[str]())
    flat = [part for name, number in fields.items() if number for part in (name, str(number))]
    return {"kind": scope.kind, "name": scope.name, "fields": flat}


def counting(client: redis.Redis, keys: Keys) -> set[Scope]:
    """Scopes that count anything now, by a scan through all keys: there is no list of them."""
    prefix = keys.scope_use("", "")[:-1]
    with speaking_to(client):
        names = list(cast("Any", client).scan_iter(f"{prefix}*", count=1000))
    return {Scope(*name.removeprefix(prefix).split(":", 1)) for name in names}


def _cut(items: _Items) -> list[_Items]:
    rest = iter(items)
    return list(iter(lambda: list(islice(rest, _PAGE)), []))


def stamp(client: redis.Redis, keys: Keys, versions: tuple[int, int], mark: str) -> list[Any]:
    """Note another layout of data in which nothing has happened since an event; or what forbade it."""
    with speaking_to(client):
        return _REBUILD(
            client,
            keys.root,
            version=versions[0],
            target=versions[1],
            mark=mark,
            scopes=[],
            held=[],
            last=1,
        )
