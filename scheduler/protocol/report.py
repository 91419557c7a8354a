"""Reports: what an agent says to its group's leader, signed, appended to one stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.domain.errors import BadMessage
from scheduler.protocol import signing
from scheduler.protocol.names import OrderId

#: Fields of a stream entry: the signed body, its MAC, and the claim's number (added by the claim script).
BODY, MAC, CLAIM = "body", "mac", "claim"
MAX_RESULT = 1024 * 1024
MAX_ERROR = 16 * 1024


class ReportKind(StrEnum):
    """What a report tells."""

    REGISTER = "register"  #: a boot asks to be admitted
    LEAVING = "leaving"  #: a boot ends cleanly; nothing of it runs any more
    CLAIMED = "claimed"  #: an order was taken
    UP = "up"  #: the kernel's process runs
    ENDED = "ended"  #: the kernel is over


class EndReason(StrEnum):
    """Why a kernel is over."""

    EXITED = "exited"  #: by itself; the exit code tells
    RAISED = "raised"  #: the callable raised
    TIMED_OUT = "timed_out"  #: the agent stopped it at its deadline
    STOPPED = "stopped"  #: a stop order was carried out
    KILLED = "killed"  #: a signal nobody of ours sent
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FOUND = "not_found"  #: no such callable or program
    NOT_ALLOWED = "not_allowed"  #: the agent's allow-list does not name it
    BAD_RESULT = "bad_result"  #: not JSON, or over 1 MiB
    BAD_ORDER = "bad_order"  #: forged or broken
    AGENT_LEFT = "agent_left"  #: the agent was stopped; the session runs again elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A boot of an agent asks to be admitted."""

    agent: str
    boot: str
    group: str
    slots: dict[str, int]  #: device slots, total
    models: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    architecture: str = ""
    address: str = ""
    lease_ms: int = 30_000
    grace_ms: int = 3_000
    max_kernels: int = 0
    swept: str = ""  #: the boot before this one, whose processes were all killed and confirmed dead
    kind: ReportKind = ReportKind.REGISTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A boot says goodbye."""

    agent: str
    boot: str
    kind: ReportKind = ReportKind.LEAVING


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelReport:
    """What became of one kernel; (session, kernel, placement, agent, boot) is its fence."""

    kind: ReportKind  #: CLAIMED, UP or ENDED
    agent: str
    boot: str
    session: str
    kernel: int
    placement: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    error: str = ""
    result: str | None = None  #: JSON text of at most 1 MiB

    @property
    def order(self) -> str:
        """The id of the order it answers."""
        return str(OrderId(self.session, self.kernel, self.placement))


Report = Registration | Leaving | KernelReport


def encode(report: Report, key: str) -> dict[str, str]:
    """Sign a report: the fields of its stream entry."""
    body = json.dumps(
        {
            name: value
            for name in report.__dataclass_fields__
            if (value := getattr(report, name)) is not None
        },
        separators=(",", ":"),
    )
    return {BODY: body, MAC: signing.sign(key, body.encode())}


def peek_agent(body: str) -> str:
    """Whose key signed this report, as it says itself. Raises BadMessage."""
    try:
        return str(signing.read_object(body)["agent"])
    except KeyError as error:
        raise BadMessage(why="it is no report") from error


def decode(body: str, mac: str, key: str) -> Report:
    """Check and read a report. Raises BadMessage."""
    signing.verify(key, body.encode(), mac)
    fields = signing.read_object(body)
    try:
        kind = ReportKind(fields["kind"])
        fields["kind"] = kind
        if kind is ReportKind.REGISTER:
            return Registration(**fields)
        return Leaving(**fields) if kind is ReportKind.LEAVING else KernelReport(**fields)
    except (TypeError, ValueError, KeyError) as error:
        raise BadMessage(why=f"its fields are not those of a report ({error})") from error
