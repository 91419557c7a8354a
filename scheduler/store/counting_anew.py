"""Scopes of data of an older layout: what they count is worked out anew, their limits move, all is written whole.

Layout 1 did not count what scopes have; up to layout 3 each scope had two hashes of its own. Nothing of
that is touched before the last step, which writes everything with the new version, in one script of 8
ms per thousand scopes: whoever breaks off before has changed nothing that an older program reads, but of
layout 1 what placed sessions hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, cast

import orjson
import redis

from scheduler.domain.scope import Scope
from scheduler.store.connection import speaking_to
from scheduler.store.counting import Counted, count_anew
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_PAGE: Final = 200
_REBUILD = Script.load("schema/rebuild")


def write(client: redis.Redis, keys: Keys, versions: tuple[int, int], mark: str) -> list[Any]:
    """All of it, if nothing has happened since an event; or what forbade it."""
    counted = count_anew(client, keys)
    if counted.mark != mark:
        return ["disturbed"]
    common = {"version": versions[0], "target": versions[1], "mark": mark}
    nothing: dict[str, Any] = {"held": [], "counts": {}, "limits": {}, "gone": []}
    held = [{"session": session, "charge": text} for session, text in counted.held.items()]
    for some in _cut(held):
        answer = _run(client, keys, **common, **nothing | {"held": some}, last=0)
        if answer[0] != "written":
            return answer
    whole = {"counts": {str(scope): text_of(counted, scope) for scope in counted.fields}}
    old = dict(_limits_before_4(client, keys))
    whole["limits"] = {str(scope): orjson.dumps(limits).decode() for scope, limits in old.items()}
    gone = _names(client, f"{keys.root}:scope:*") - {keys.scope_use(), keys.scope_limits()}
    gone = {name for name in gone if not name.startswith(keys.scope_members("", "")[:-1])}
    gone.add(f"{keys.root}:scopes")
    return _run(client, keys, **common, **nothing | whole | {"gone": sorted(gone)}, last=1)


def text_of(counted: Counted, scope: Scope) -> str:
    """What a scope should count, as scripts keep it; "" for nothing."""
    fields: Counter[str] = counted.fields.get(scope, Counter())
    counts = {name: number for name, number in fields.items() if number}
    return orjson.dumps(counts).decode() if counts else ""


def _limits_before_4(client: redis.Redis, keys: Keys) -> Iterator[tuple[Scope, dict[str, str]]]:
    prefix = f"{keys.root}:scope:limits:"
    for name in _names(client, f"{prefix}*"):
        with speaking_to(client):
            limits = cast("dict[str, str]", client.hgetall(name))
        yield Scope(*name.removeprefix(prefix).split(":", 1)), limits


def _names(client: redis.Redis, pattern: str) -> set[str]:
    with speaking_to(client):
        return set(cast("Any", client).scan_iter(pattern, count=1000))


def _run(client: redis.Redis, keys: Keys, **values: Any) -> list[Any]:
    with speaking_to(client):
        return _REBUILD(client, keys.root, **values)


def _cut(items: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page
