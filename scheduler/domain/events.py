"""What happens: every event of the stream by name, as a typed model.

`EventData` is an entry as it is stored; `typed()` turns it into the class of its name, which is what
subscribers and `Client.events()` get.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scheduler.domain.event_kinds import (
    AgentEvent,
    CallbackEvent,
    EpochEvent,
    Event,
    EventData,
    GraphEvent,
    GroupEvent,
    LeaderEvent,
    OfficeEvent,
    ScopeEvent,
    SessionEvent,
    SubscriberEvent,
    number,
    texts,
)

#: The kinds are of this page, too.
__all__ = [
    "AgentEvent",
    "CallbackEvent",
    "EpochEvent",
    "Event",
    "EventData",
    "GraphEvent",
    "GroupEvent",
    "LeaderEvent",
    "OfficeEvent",
    "ScopeEvent",
    "SessionEvent",
    "SubscriberEvent",
]


class SessionPendingEvent(SessionEvent):
    name = "session.pending"
    says = "was submitted or asked to run again, and waits for dependencies or a time"


class SessionReadyEvent(SessionEvent):
    name = "session.ready"
    says = "entered its group's queue"


class SessionScheduledEvent(SessionEvent):
    name = "session.scheduled"
    says = "was bound to agents; its orders are pushed"


class SessionPreparingEvent(SessionEvent):
    name = "session.preparing"
    says = "an agent claimed its first order; the attempt counts from here"


class SessionRunningEvent(SessionEvent):
    name = "session.running"
    says = "all its kernels are up"


class SessionTerminatingEvent(SessionEvent):
    name = "session.terminating"
    says = "is being stopped"


class SessionRetryingEvent(SessionEvent):
    name = "session.retrying"
    says = "failed, and waits for its back-off"


class SessionSucceededEvent(SessionEvent):
    name = "session.succeeded"
    says = "ended with success"


class SessionFailedEvent(SessionEvent):
    name = "session.failed"
    says = "ended with a failure"


class SessionTimedOutEvent(SessionEvent):
    name = "session.timed_out"
    says = "was stopped at its deadline"


class SessionCancelledEvent(SessionEvent):
    name = "session.cancelled"
    says = "was cancelled"


class SessionCancelRequestedEvent(SessionEvent):
    name = "session.cancel_requested"
    says = "was asked to be cancelled while placed; the leader carries it out"


class SessionTimeoutSetEvent(SessionEvent):
    name = "session.timeout_set"
    says = "may run for another time than it asked for; the reason is that time in ms, or empty"


class SessionHeldEvent(SessionEvent):
    name = "session.held"
    says = (
        "stays PENDING since a dependency did not succeed, until that does or somebody releases it"
    )


class GraphSubmittedEvent(GraphEvent):
    name = "graph.submitted"
    says = "was loaded whole, and becomes visible"


@dataclass(frozen=True, kw_only=True)
class SessionPriorityChangedEvent(Event):
    name = "session.priority_changed"
    says = "has another priority now"

    session: str
    group: str
    priority: int
    before: int

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        numbers = {name: number(data, name) for name in ("priority", "before")}
        return texts(data, "session", "group") | numbers


@dataclass(frozen=True, kw_only=True)
class SessionHandedOverEvent(Event):
    name = "session.handed_over"
    says = "is a job of another role of its office now"

    session: str
    group: str
    office: str
    role: str
    previous: str  #: the role it had; "" is none

    @classmethod
    def _told(cls, data: EventData) -> dict[str, Any]:
        office, _, role = data.fields.get("job", "").partition("/")
        previous = data.fields.get("before", "").partition("/")[2]
        return texts(data, "session", "group") | {
            "office": office,
            "role": role,
            "previous": previous,
        }


class AgentAdmittedEvent(AgentEvent):
    name = "agent.admitted"
    says = "a boot of the agent may take orders"


class AgentWaitingEvent(AgentEvent):
    name = "agent.waiting"
    says = "a boot waits for its predecessor's lease to be over"


class AgentRefusedEvent(AgentEvent):
    name = "agent.refused"
    says = "a boot was refused"


class AgentReadyEvent(AgentEvent):
    name = "agent.ready"
    says = "beats again"


class AgentNotReadyEvent(AgentEvent):
    name = "agent.not_ready"
    says = "has been silent for longer than it should be"


class AgentLostEvent(AgentEvent):
    name = "agent.lost"
    says = "its lease is over, its kernels are certainly dead"


class AgentLeftEvent(AgentEvent):
    name = "agent.left"
    says = "said goodbye"


class AgentDrainedEvent(AgentEvent):
    name = "agent.drained"
    says = "gets nothing new"


class AgentUndrainedEvent(AgentEvent):
    name = "agent.undrained"
    says = "gets work again"


class AgentRemovedEvent(AgentEvent):
    name = "agent.removed"
    says = "was removed from its group"


class AgentsStormEvent(GroupEvent):
    name = "agents.storm"
    says = "too many agents fell silent at once; nothing is rescued for a minute"


class InboxOverranEvent(GroupEvent):
    name = "inbox.overran"
    says = (
        "the leader fell 20,000 requests behind; it loaded everything, an `agent lost`"
        " among them must be said again"
    )


class LeaderElectedEvent(LeaderEvent):
    name = "leader.elected"
    says = "a replica leads the group from this term on"


class LeaderResignedEvent(LeaderEvent):
    name = "leader.resigned"
    says = "the leader handed its term back"


class ScopeChangedEvent(ScopeEvent):
    name = "scope.changed"
    says = "a scope has other limits now"


class GroupChangedEvent(GroupEvent):
    name = "group.changed"
    says = "a scaling group has other options now"


class GroupPausedEvent(GroupEvent):
    name = "group.paused"
    says = "a scaling group places nothing new"


class GroupResumedEvent(GroupEvent):
    name = "group.resumed"
    says = "a scaling group places again"


class GroupDeletedEvent(GroupEvent):
    name = "group.deleted"
    says = "a scaling group is gone"


class OfficeChangedEvent(OfficeEvent):
    name = "office.changed"
    says = "an office has another configuration now"


class OfficeDeletedEvent(OfficeEvent):
    name = "office.deleted"
    says = "an office is gone"


class EpochBeganEvent(EpochEvent):
    name = "epoch.began"
    says = "the stream's numbering began anew after Redis lost writes or was replaced"


class SubscriberParkedEvent(SubscriberEvent):
    name = "subscriber.parked"
    says = "failed too often in a row; it gets nothing but its next event now and then, until it takes it"


class SubscriberResumedEvent(SubscriberEvent):
    name = "subscriber.resumed"
    says = "gets events again"


class CallbackParkedEvent(CallbackEvent):
    name = "callback.parked"
    says = "a session's outcome could not be posted for hours; it is kept for seven days, and tried again now and then"


def _named(kind: type[Event]) -> dict[str, type[Event]]:
    found = {kind.name: kind} if kind.name else {}
    for below in kind.__subclasses__():
        found |= _named(below)
    return found


#: name -> class, in the order of this page; the docs' table and the freshness test are made from it.
CATALOGUE: Mapping[str, type[Event]] = MappingProxyType(_named(Event))


def typed(data: EventData) -> Event:
    """The event of an entry."""
    return CATALOGUE.get(data.name, Event).read(data)
