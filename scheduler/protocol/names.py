"""Names both sides must agree on: order ids, RQ queues, the entry function, the kernel's environment."""

from __future__ import annotations

import re
from typing import NamedTuple

#: The function named in every RQ job. A stock worker that takes one gets a sentence, and runs nothing.
ENTRY_FUNCTION = "agents.entry.run_order"
STOP_PREFIX = "stop-"

_ORDER = re.compile(r"(?P<session>[0-9a-z]{26})-(?P<kernel>[0-9]{1,4})-(?P<placement>[0-9a-f]{32})")


class OrderId(NamedTuple):
    """(session, kernel, placement); with agent and boot it is the fence of all an agent does."""

    session: str
    kernel: int
    placement: str

    def __str__(self) -> str:
        # RQ admits letters, digits, _ and - only.
        return f"{self.session}-{self.kernel}-{self.placement}"


def parse_order_id(text: str) -> OrderId | None:
    """Read an order id; None when it is none."""
    match = _ORDER.fullmatch(text)
    return OrderId(match["session"], int(match["kernel"]), match["placement"]) if match else None


def queue_name(namespace: str, agent: str) -> str:
    """The name of the agent's one RQ queue."""
    return f"{namespace}:agent:{agent}"


class KernelEnv:
    """Variables every kernel finds in its environment."""

    SESSION_ID = "SESSION_ID"
    SESSION_ATTEMPT = "SESSION_ATTEMPT"  #: for people; not a fence
    SESSION_GROUP = "SESSION_GROUP"
    SESSION_NAME = "SESSION_NAME"
    SESSION_DEVICES = "SESSION_DEVICES"  #: e.g. cuda.0,cuda.3
    CLUSTER_SIZE = "CLUSTER_SIZE"
    CLUSTER_RANK = "CLUSTER_RANK"
    CLUSTER_ROLE = "CLUSTER_ROLE"  #: main for rank 0, else sub
    CLUSTER_HOSTS = "CLUSTER_HOSTS"  #: address of each rank, comma-separated
