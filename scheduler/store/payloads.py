"""JSON texts of sessions that apps and agents wrote: what they were asked, and what they answered."""

from __future__ import annotations

import json
from typing import Any, cast

import redis

from scheduler.domain.errors import RecordSpoilt, ScriptError
from scheduler.store.connection import speaking_to


def read_json(client: redis.Redis, key: str, session: str, what: str) -> Any:
    """What lies there, None for nothing. Raises RecordSpoilt where it is no text, or no JSON."""
    try:
        with speaking_to(client):
            text = cast("str | None", client.get(key))
        return None if text is None else json.loads(text)
    except ScriptError as error:
        if "WRONGTYPE" not in str(error):
            raise
        raise RecordSpoilt(session=session, what=f"its {what} is no text") from error
    except (ValueError, RecursionError) as error:
        raise RecordSpoilt(session=session, what=f"its {what} is no JSON") from error
