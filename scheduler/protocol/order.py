r"""Orders: what the leader tells one boot of one agent, signed.

On the wire an order to start is ``<mac> <header JSON>\n<payload JSON>``. The header carries the
payload's SHA-256, so the commit script can copy the payload from the session without the leader
ever reading it, and the agent still knows it is what was asked. An order to stop has no payload.
"""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

import orjson

from scheduler.domain.errors import BadMessage
from scheduler.domain.records import record
from scheduler.protocol import signing
from scheduler.protocol.names import OrderId


@record
class StartOrder:
    """Run one kernel."""

    _: KW_ONLY
    agent: str
    boot: str
    group: str
    session: str
    kernel: int
    placement: str
    attempt: int
    name: str
    keypair: str  #: warm children are reused within one keypair only; empty is none
    slots: dict[str, int]  #: device slots of this kernel
    timeout_ms: int
    payload_sha256: str
    on_lost: str
    hosts: list[str] = field(default_factory=list)  #: the address of each rank
    done_pattern: str = ""  #: a line of output that ends the kernel well
    silence_ms: int = 0  #: without output for so long it is stopped; 0 is never

    @property
    def id(self) -> str:
        """The order's id, which is the RQ job's too."""
        return str(OrderId(self.session, self.kernel, self.placement))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """Stop one kernel: SIGTERM, grace, SIGKILL."""

    agent: str
    boot: str
    order: str  #: the id of the order to start it
    reason: str  #: a word of STOP_STRENGTH


#: Said only where they are asked for: an agent of an earlier version refuses orders with fields it does not know.
_LATER: Final = ("done_pattern", "silence_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineOrder:
    """Let one kernel run for so long, counted from when it began; it may be said again and again."""

    agent: str
    boot: str
    order: str  #: the id of the order to start it
    timeout_ms: int


Order = StartOrder | StopOrder | DeadlineOrder


def _fields(order: type[Order]) -> tuple[tuple[str, ...], attrgetter[Any]]:
    names = tuple(field.name for field in fields(order) if field.name not in _LATER)
    return names, attrgetter(*names)


_KINDS: Final[dict[str, type[Order]]] = {
    "start": StartOrder,
    "stop": StopOrder,
    "deadline": DeadlineOrder,
}
_NAMES: Final = {order: kind for kind, order in _KINDS.items()}
_FIELDS: Final = {order: _fields(order) for order in _NAMES}


def encode(order: Order, key: str) -> str:
    """Sign an order: ``<mac> <header JSON>``."""
    # Not asdict(), which copies deeply and takes longer than all the rest of a placement.
    names, values = _FIELDS[type(order)]
    said: dict[str, Any] = {"kind": _NAMES[type(order)]}
    said.update(zip(names, values(order), strict=True))
    if isinstance(order, StartOrder):
        if order.done_pattern:
            said["done_pattern"] = order.done_pattern
        if order.silence_ms:
            said["silence_ms"] = order.silence_ms
    header = orjson.dumps(said)
    return f"{signing.sign(key, header)} {header.decode()}"


def decode(text: str, key: str, *, agent: str, boot: str) -> tuple[Order, dict[str, Any]]:
    """Check and read an order; the second part is the payload ({} unless it starts something).

    Raises BadMessage when it was not signed with this agent's key, is for another agent or boot,
    or its payload is not the one that was signed.
    """
    head, _, payload = text.partition("\n")
    mac, _, header = head.partition(" ")
    signing.verify(key, header.encode(), mac)
    said = signing.read_object(header)
    kind = said.pop("kind", None)
    try:
        order = _KINDS.get(kind, StopOrder)(**said)
    except TypeError as error:
        raise BadMessage(why=f"its fields are not those of an order ({error})") from error
    if (order.agent, order.boot) != (agent, boot):
        raise BadMessage(why=f"it is for agent {order.agent}, boot {order.boot[:8]}")
    if not isinstance(order, StartOrder):
        return order, {}
    if hashlib.sha256(payload.encode()).hexdigest() != order.payload_sha256:
        raise BadMessage(why="its payload is not the one that was signed")
    return order, signing.read_object(payload)
