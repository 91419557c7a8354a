"""What a kind of subscriber implements: it is given events, one at a time and in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scheduler.domain.events import Event


class UndeliverableError(Exception):
    """The receiver is gone for good: the subscriber is parked at once, and not tried again."""


@dataclass(frozen=True, slots=True)
class SubscriberContext:
    """What a subscriber is told of itself."""

    name: str
    namespace: str
    key: str = field(repr=False)  #: its own, hex, derived from the cluster's secret: to sign with
    #: Only its options are looked at, perhaps on another machine than it will run on.
    trial: bool = False


class AbstractSubscriber(ABC):
    """One subscriber in the replica that delivers to it at the moment.

    An event is given again after it failed, and may be given twice when a replica dies or a delivery
    takes too long: the event's id tells.
    """

    name: ClassVar[str]
    #: What it gets where nobody says: names or patterns.
    events: ClassVar[tuple[str, ...]] = ("*",)

    def __init__(self, opts: Mapping[str, Any], context: SubscriberContext) -> None:  # noqa: B027 - one without options needs none
        """Take its options. Raises InvalidSetting for one it does not know."""

    @abstractmethod
    def deliver(self, event: Event) -> None:
        """Return when the event was taken; raise whatever says why it was not, or UndeliverableError.

        It is an event of the catalogue, a `SchedulerEvent` where it was asked for by its job's name, or a
        `DigestEvent` of what the subscriber's throttle held back.

        Called in a thread of its own, never by two at a time, and given up after ten seconds: then it
        counts as failed, and nothing more is delivered until it has returned.
        """

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Another replica delivers from now on, or it was removed."""
