"""What an event is: an entry as it is stored, and what events of one kind tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class EventData:
    """One entry of the stream; (epoch, seq) has no gaps within an epoch."""

    epoch: int
    seq: int
    name: str
    fields: Mapping[str, str]

    @property
    def id(self) -> str:
        """The id to go on from."""
        return f"{self.epoch}-{self.seq}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "epoch": self.epoch,
            "seq": self.seq,
            "name": self.name,
            "fields": dict(self.fields),
        }


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. An event of a name this version does not know has this class."""

    name: ClassVar[str] = ""
    says: ClassVar[str] = ""  #: what it tells of the session, agent ...
    data: EventData = field(repr=False)  #: as it is stored
    at_ms: int  #: Redis' clock

    @property
    def id(self) -> str:
        """The id to go on from."""
        return self.data.id

    @classmethod
    def read(cls, data: EventData) -> Self:
        """The event that an entry tells; what is missing in it is empty."""
        return cls(data=data, at_ms=number(data, "at"), **cls._told(data))

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:  # noqa: ARG003 - subclasses read it
        return {}


@dataclass(frozen=True, kw_only=True)
class SessionEvent(Event):
    """Of a session, which is in the state of the event's name from then on."""

    session: str
    group: str
    previous: str  #: the state it left; "" when it was submitted
    verb: str  #: of the table of lives
    attempt: int
    placement: str
    agents: tuple[str, ...]
    reason: str

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        told = texts(data, "session", "group", "verb", "placement", "reason")
        return told | {
            "previous": data.fields.get("from", ""),
            "attempt": number(data, "attempt"),
            "agents": tuple(data.fields.get("agents", "").split()),
        }


@dataclass(frozen=True, kw_only=True)
class GraphEvent(Event):
    """Of a graph of sessions."""

    graph: str
    group: str
    title: str  #: what its submitter called it
    jobs: int

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        told = texts(data, "graph", "group", "title")
        return told | {"jobs": number(data, "jobs")}


@dataclass(frozen=True, kw_only=True)
class AgentEvent(Event):
    """Of an agent."""

    agent: str
    group: str
    boot: str
    reason: str

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "agent", "group", "boot", "reason")


@dataclass(frozen=True, kw_only=True)
class GroupEvent(Event):
    """Of a scaling group."""

    group: str
    reason: str
    revision: int | None  #: of its options, where they changed

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        told = texts(data, "group", "reason")
        return told | {"revision": number(data, "revision") or None}


@dataclass(frozen=True, kw_only=True)
class LeaderEvent(Event):
    """Of a leader."""

    group: str
    term: int
    holder: str  #: the replica's name
    reason: str

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "group", "holder", "reason") | {"term": number(data, "term")}


@dataclass(frozen=True, kw_only=True)
class ScopeEvent(Event):
    """Of a scope."""

    scope: str  #: kind and name

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "scope")


@dataclass(frozen=True, kw_only=True)
class OfficeEvent(Event):
    """Of an office."""

    office: str
    revision: int | None  #: of its configuration, where it changed

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "office") | {"revision": number(data, "revision") or None}


@dataclass(frozen=True, kw_only=True)
class EpochEvent(Event):
    """Of the stream itself."""

    group: str
    after: str  #: id of the last event that was on record

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "group", "after")


@dataclass(frozen=True, kw_only=True)
class SubscriberEvent(Event):
    """Of a subscriber."""

    subscriber: str
    reason: str

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "subscriber", "reason")


@dataclass(frozen=True, kw_only=True)
class CallbackEvent(Event):
    """Of the callback of a session."""

    session: str
    reason: str

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        return texts(data, "session", "reason")


def texts(data: EventData, *names: str) -> dict[str, Any]:
    """Fields as they are; what is missing is empty."""
    return {name: data.fields.get(name, "") for name in names}


def number(data: EventData, name: str) -> int:
    """A field that is a number, else 0."""
    text = data.fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
