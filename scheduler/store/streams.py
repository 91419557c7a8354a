"""Reading streams: one shape for what redis-py answers in several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

#: A read that blocks for longer than redis-py's socket time-out (5 s) would fail.
LONGEST_BLOCK_S = 4.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream: its id and its fields."""

    id: str
    fields: Mapping[str, str]


def number(entry_id: str) -> tuple[int, int]:
    """An id as it is ordered."""
    ms, seq = entry_id.split("-")
    return int(ms), int(seq)


def last_id(client: redis.Redis, stream: str) -> str:
    """The id of a stream's last entry, "0-0" where there is none."""
    found = entries(client.xrevrange(stream, count=1))
    return found[0].id if found else "0-0"


def entries(found: Any) -> list[Entry]:
    """What XRANGE and XREVRANGE answer."""
    return [Entry(entry, fields) for entry, fields in found or ()]


def read(
    client: redis.Redis, after: Mapping[str, str], *, timeout: float, limit: int
) -> dict[str, list[Entry]]:
    """Entries after the given ids by stream; waits up to ``timeout`` s (at most 4, 0 not at all) for the first."""
    # Redis ends a block of a few ms only with its next cron tick, up to 100 ms later; 0 would be for ever.
    block = int(min(timeout, LONGEST_BLOCK_S) * 1000) or None
    found: Any = client.xread(cast("Any", dict(after)), count=limit, block=block)
    if isinstance(found, Mapping):  # RESP3: {stream: [[entries]]}
        return {name: entries(chunks[0]) for name, chunks in found.items()}
    return {name: entries(chunk) for name, chunk in found or ()}
