"""Some fields of many sessions, as a leader reads them by the thousand while it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import redis

from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_READ = Script.load("session/read")
#: Sessions that one script reads: 250 stay within what a script may take.
_PAGE = 250

#: The fields that were asked for, None where one is not there; or None for what is no record at all.
Row: TypeAlias = Sequence[str | None] | None


def read_fields(
    client: redis.Redis, keys: Keys, ids: Sequence[str], fields: Sequence[str]
) -> list[Row]:
    """Read the same fields of each session, in pages; raises StoreUnavailable."""
    found: list[Row] = []
    for start in range(0, len(ids), _PAGE):
        page = list(ids[start : start + _PAGE])
        with speaking_to(client):
            found += _READ(client, keys.root, sessions=page, fields=list(fields))[1:]
    return found
