"""The subscriber that writes to people: mail, Slack and whatever else apprise speaks."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import apprise
from pydantic import model_validator

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.events import Event
from scheduler.domain.job_events import PERMANENT_FAILURES
from scheduler.domain.redaction import origin, without_secrets
from scheduler.notifications.message import Message, Tone, message_of
from scheduler.plugins.options import PluginOptions, read_options
from scheduler.plugins.subscribers import AbstractSubscriber, SubscriberContext

#: Seconds for each step of a request; the whole of it has the budget of a delivery.
_PATIENCE_S: Final = 4.0
#: Its own pause between two messages is 5.5 s for most, half a delivery's budget; throttles are ours.
_PAUSE_S: Final = 1.0
_LONGEST_REASON: Final = 200
_TONES: Final = {
    Tone.GOOD: apprise.NotifyType.SUCCESS,
    Tone.PLAIN: apprise.NotifyType.INFO,
    Tone.WARNING: apprise.NotifyType.WARNING,
    Tone.BAD: apprise.NotifyType.FAILURE,
}


class AppriseOptions(PluginOptions):
    """Whom it writes to: an address of apprise, or where the replica finds it."""

    url: str = ""
    url_env: str = ""
    url_file: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> AppriseOptions:
        if sum(map(bool, (self.url, self.url_env, self.url_file))) != 1:
            raise ValueError("give one of url, url_env (a variable) and url_file of the replicas")
        return self


class Refused(Exception):
    """The receiver did not take it."""


class AppriseSubscriber(AbstractSubscriber):
    """Writes one message per event to one receiver; taken is what apprise says was taken."""

    name: ClassVar[str] = "apprise"
    events: ClassVar[tuple[str, ...]] = PERMANENT_FAILURES

    def __init__(self, opts: Mapping[str, Any], context: SubscriberContext) -> None:
        options = read_options(AppriseOptions, opts, self.name, "subscriber")
        if context.trial and not options.url:
            return  # the secret is on the replicas' machines, not on this one
        self._url = _address(options)
        self._receiver = _receiver(self._url)

    def deliver(self, event: Event) -> None:
        with _Listening() as heard:
            taken = self._send(message_of(event))
        if not taken:
            why = without_secrets(heard.last, [self._url])[:_LONGEST_REASON]
            raise Refused(f"{origin(self._url)} did not take it: {why or 'it does not say why'}")

    def _send(self, message: Message) -> bool:
        return bool(
            self._receiver.notify(
                title=message.title, body=message.body, notify_type=_TONES[message.tone]
            )
        )


def _address(options: AppriseOptions) -> str:
    """The address itself. Raises InvalidSetting where this machine does not have it."""
    if options.url:
        return options.url
    if options.url_env:
        found = os.environ.get(options.url_env, "")
        missing = f"this replica has no variable {options.url_env}"
    else:
        missing = f"this replica cannot read {options.url_file}"
        try:
            found = Path(options.url_file).read_text().strip()
        except (OSError, UnicodeDecodeError):
            found = ""
    if not found:
        raise InvalidSetting(name="subscriber", problem=missing)
    return found


def _receiver(url: str) -> Any:
    """What apprise makes of an address. Raises InvalidSetting, which does not show the address."""
    # Nothing on disk, no threads, no other host than the one named.
    asset = apprise.AppriseAsset(
        async_mode=False,
        app_id="session-scheduler",
        app_desc="session-scheduler",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        http_redirects=False,
        default_service_retry=0,
    )
    with _Listening():
        made = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    scheme = url.partition("://")[0] if "://" in url else ""
    if made is None:
        problem = f"option 'url' of apprise: it is no address that apprise knows ({scheme or 'no scheme'}://...)"
        raise InvalidSetting(name="subscriber", problem=problem)
    made.retry = 0  # the cursor retries, with a back-off
    made.request_rate_per_sec = min(made.request_rate_per_sec, _PAUSE_S)
    made.socket_connect_timeout = min(made.socket_connect_timeout or _PATIENCE_S, _PATIENCE_S)
    made.socket_read_timeout = min(made.socket_read_timeout or _PATIENCE_S, _PATIENCE_S)
    if len(made) > 1:
        problem = (
            f"option 'url' of apprise: it names {len(made)} receivers; add a subscriber for each, so"
            " that none is written to again because another failed"
        )
        raise InvalidSetting(name="subscriber", problem=problem)
    return made


class _Listening(logging.Handler):
    """Hears what apprise complains of in this thread, which is not logged: it may hold addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = " ".join(record.getMessage().split())

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _LOGGER.removeHandler(self)


_LOGGER: Final = logging.getLogger("apprise")
# Not even with debugging on: at that level it prints whole requests.
_LOGGER.setLevel(logging.WARNING)
_LOGGER.propagate = False
_LOGGER.addHandler(logging.NullHandler())
