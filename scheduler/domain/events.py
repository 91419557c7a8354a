"""What happens, by name: every event of the stream and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: name -> what it says; the docs' table and the freshness test are made from it.
CATALOGUE: Mapping[str, str] = MappingProxyType(
    {
        "session.pending": "was submitted or asked to run again, and waits for dependencies or a time",
        "session.ready": "entered its group's queue",
        "session.scheduled": "was bound to agents; its orders are pushed",
        "session.preparing": "an agent claimed its first order; the attempt counts from here",
        "session.running": "all its kernels are up",
        "session.terminating": "is being stopped",
        "session.retrying": "failed, and waits for its back-off",
        "session.succeeded": "ended with success",
        "session.failed": "ended with a failure",
        "session.timed_out": "was stopped at its deadline",
        "session.cancelled": "was cancelled",
        "session.cancel_requested": "was asked to be cancelled while placed; the leader carries it out",
        "agent.admitted": "a boot of the agent may take orders",
        "agent.waiting": "a boot waits for its predecessor's lease to be over",
        "agent.refused": "a boot was refused",
        "agent.ready": "beats again",
        "agent.not_ready": "has been silent for longer than it should be",
        "agent.lost": "its lease is over, its kernels are certainly dead",
        "agent.left": "said goodbye",
        "agent.drained": "gets nothing new",
        "agent.undrained": "gets work again",
        "agent.removed": "was removed from its group",
        "agents.storm": "too many agents fell silent at once; nothing is rescued for a minute",
        "inbox.overran": "the leader fell 20,000 requests behind; it loaded everything, an `agent lost` among them"
        " must be said again",
        "leader.elected": "a replica leads the group from this term on",
        "leader.resigned": "the leader handed its term back",
        "scope.changed": "a scope has other limits now",
        "group.changed": "a scaling group has other options now",
        "group.paused": "a scaling group places nothing new",
        "group.resumed": "a scaling group places again",
        "group.deleted": "a scaling group is gone",
        "epoch.began": "the stream's numbering began anew after Redis lost writes or was replaced",
    }
)


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
