"""The subscriber outside: one signed POST per event, as the Standard Webhooks specification says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from pydantic import field_validator
from standardwebhooks import Webhook

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.events import Event
from scheduler.domain.job_events import SchedulerEvent
from scheduler.domain.redaction import shown_url
from scheduler.domain.throttle import DigestEvent
from scheduler.plugins.options import PluginOptions, read_options
from scheduler.plugins.subscribers import (
    AbstractSubscriber,
    SubscriberContext,
    UndeliverableError,
)

#: Seconds for each step of a request; the whole of it has the budget of a delivery.
_PATIENCE_S = 5.0


class WebhookOptions(PluginOptions):
    """Where events are posted."""

    url: str

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be a URL such as https://example.org/hooks")
        return value


class WebhookSubscriber(AbstractSubscriber):
    """Posts each event as JSON; what is not answered with 2xx is posted again, 410 parks it."""

    name: ClassVar[str] = "webhook"

    def __init__(
        self, opts: Mapping[str, Any], context: SubscriberContext, clock: Clock | None = None
    ) -> None:
        self._url = read_options(WebhookOptions, opts, self.name, "subscriber").url
        self._shown = shown_url(self._url)
        self._signer = Webhook(bytes.fromhex(context.key))
        self._clock = clock or SystemClock()
        self._client = httpx.Client(timeout=_PATIENCE_S, follow_redirects=False)

    def deliver(self, event: Event) -> None:
        name, told = _told(event)
        body = json.dumps(
            {"type": name, "timestamp": _iso(event.at_ms), "data": {"id": event.id, **told}}
        )
        sent_at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        answer = self._client.post(
            self._url,
            content=body,
            headers={
                "content-type": "application/json",
                "webhook-id": event.id,
                "webhook-timestamp": str(int(sent_at.timestamp())),
                "webhook-signature": self._signer.sign(event.id, sent_at, body),
            },
        )
        if answer.status_code == httpx.codes.GONE:
            raise UndeliverableError(f"{self._shown} answered 410: it wants no events any more")
        if not answer.is_success:
            raise RuntimeError(f"{self._shown} answered {answer.status_code}")

    def close(self) -> None:
        self._client.close()


def _told(event: Event) -> tuple[str, dict[str, Any]]:
    """The name and the fields of an event."""
    match event:
        case SchedulerEvent():
            return event.event, event.as_fields()
        case DigestEvent():
            return "digest", {"held": dict(event.held), "first": list(event.first)}
        case _:
            return event.data.name, dict(event.data.fields)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
