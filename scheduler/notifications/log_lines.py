"""The subscriber that writes each event into the replica's log, for who collects logs and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from scheduler.domain.events import Event
from scheduler.domain.job_events import JobEvent, SchedulerEvent
from scheduler.domain.throttle import DigestEvent
from scheduler.observability.logs import get_logger
from scheduler.plugins.options import PluginOptions, read_options
from scheduler.plugins.subscribers import AbstractSubscriber, SubscriberContext

_ERRORS: Final = frozenset({JobEvent.FAILED, JobEvent.TIMEOUT})
_WARNINGS: Final = frozenset({JobEvent.RETRYING})


class LogSubscriber(AbstractSubscriber):
    """One line per event: of a job with its office, role, attempt, agents and error."""

    name: ClassVar[str] = "log"
    events: ClassVar[tuple[str, ...]] = ("job_*",)

    def __init__(self, opts: Mapping[str, Any], context: SubscriberContext) -> None:
        read_options(PluginOptions, opts, self.name, "subscriber")
        self._log = get_logger(subscriber=context.name)

    def deliver(self, event: Event) -> None:
        match event:
            case SchedulerEvent():
                write = self._log.info
                if event.event in _ERRORS:
                    write = self._log.error
                elif event.event in _WARNINGS:
                    write = self._log.warning
                write(str(event.event), id=event.id, **_told(event.as_fields()))
            case DigestEvent():
                self._log.info("digest", id=event.id, held=dict(event.held))
            case _:
                self._log.info(event.data.name, id=event.id, **_told(event.data.fields))


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}
