"""What a callback tells: how a session ended, as a signed message of the Standard Webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from scheduler.domain.callback import Callback
from scheduler.domain.job_events import JOB_EVENTS, job_facts
from scheduler.domain.session import SessionData
from scheduler.notifications.posting import Post

#: Bytes of a result, as JSON, that travel with the outcome; a larger one is to be read from the scheduler.
LARGEST_RESULT: Final = 16_384


def outcome_of(callback: Callback, session: SessionData | None, result: Any) -> dict[str, Any]:
    """The outcome as its receiver reads it. Times are ISO 8601.

    Of a session that is forgotten, or runs again by now, there is only what was written when it ended.
    """
    told: dict[str, Any] = {
        "id": callback.session,
        "state": callback.state,
        "reason": callback.reason,
        "attempt": callback.attempt,
        "ended_at": iso(callback.ended_at),
    }
    if session is None:
        return told
    facts = job_facts(session, callback.attempt)
    told |= {"office": facts.office, "role": facts.role, "name": session.name}
    told["submitted_at"] = iso(session.submitted_at)
    if session.ended_at != callback.ended_at:
        return told
    main = session.kernels[0] if session.kernels else None
    started = [row.started_at for row in session.history]
    told |= {
        "error": facts.error,
        "exit_code": main.exit_code if main else None,
        "attempts": len(session.history),
        "started_at": iso(started[0]) if started else None,
    }
    text = json.dumps(result)
    return told | ({"result": result} if len(text) <= LARGEST_RESULT else {"result_left_out": True})


def post_of(callback: Callback, told: dict[str, Any], key: str, now_ms: int) -> Post:
    """The signed message; its id is the same each time it is posted."""
    name = JOB_EVENTS[f"session.{callback.state.lower()}"]
    body = json.dumps({"type": name, "timestamp": iso(callback.ended_at), "data": told})
    sent_at = datetime.fromtimestamp(now_ms / 1000, UTC)
    # Its package brings httpx and rich, a tenth of a replica's start; most replicas never post.
    from standardwebhooks import Webhook  # noqa: PLC0415

    headers = {
        "content-type": "application/json",
        "webhook-id": callback.entry,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(bytes.fromhex(key)).sign(callback.entry, sent_at, body),
    }
    return Post(callback.url, headers, body.encode())


def iso(ms: int) -> str:
    """Milliseconds of Redis' clock as people write them."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
