"""Where the last attempts of sessions ran."""

from __future__ import annotations

import json
from collections.abc import Mapping

import redis

from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

#: Attempts whose agents a session avoids: with more of them a small group had no other agents left.
ATTEMPTS_REMEMBERED = 3


def failed_on(
    client: redis.Redis, keys: Keys, tried: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """The agents of the last attempts of sessions that wait again, newest first; none went well.

    ``tried`` is the number of each session's last attempt. One round trip, none for nobody.
    """
    if not tried:
        return {}
    with speaking_to(client), client.pipeline(transaction=False) as pipe:
        for session, attempt in tried.items():
            numbers = range(attempt, max(0, attempt - ATTEMPTS_REMEMBERED), -1)
            pipe.hmget(keys.session(session), [f"history:{number}" for number in numbers])
        rows = pipe.execute()
    return {
        session: tuple(dict.fromkeys(agent for text in row if text for agent in _agents(text)))
        for session, row in zip(tried, rows, strict=True)
    }


def _agents(history: str) -> list[str]:
    try:
        # cjson writes an empty list as {}.
        return list(map(str, json.loads(history).get("agents") or ()))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []  # spoilt: nothing is avoided for its sake
