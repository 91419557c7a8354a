"""Reports: what an agent says to its group's leader, signed, appended to one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Any

from scheduler.domain.errors import BadMessage
from scheduler.domain.records import record
from scheduler.protocol import signing
from scheduler.protocol.names import OrderId

#: Fields of a stream entry: the signed body and its MAC; and, added by the claim script, the number of
#: each claim in it, or NOT_TAKEN for an order that was not there any more.
BODY, MAC, CLAIM = "body", "mac", "claim"
NOT_TAKEN = "-"
#: Of entries that hold several reports: ``{"v", "agent", "boot", "reports": [...]}``. An entry with a
#: single one is that report itself.
VERSION = 2
_UNSAID = (None, "")  #: what a field is where nothing is said of it
_SHARED = ("agent", "boot")  #: said once for all reports of an entry
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
    BAD_RESULT = "bad_result"  #: not JSON, over 1 MiB, or its process ended well before it returned
    BAD_ORDER = "bad_order"  #: forged or broken
    DONE_PATTERN = "done_pattern"  #: its output said that its work is done; it ended well
    SILENT = "silent"  #: stopped, as it printed nothing for too long
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


@record
class KernelReport:
    """What became of one kernel; (session, kernel, placement, agent, boot) is its fence."""

    _: KW_ONLY
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
_CLASS: Mapping[ReportKind, type[Report]] = {
    ReportKind.REGISTER: Registration,
    ReportKind.LEAVING: Leaving,
}


def encode(report: Report, key: str) -> dict[str, str]:
    """Sign a report: the fields of its stream entry."""
    return _sealed(_fields(report), key)


def encode_many(reports: Sequence[Report], key: str) -> dict[str, str]:
    """Sign reports of one boot together, in order: the fields of one stream entry for all of them."""
    head = {"v": VERSION, "agent": reports[0].agent, "boot": reports[0].boot}
    return _sealed({**head, "reports": [_fields(report, *_SHARED) for report in reports]}, key)


def opened(body: str, mac: str, key_of: Callable[[str], str]) -> list[Any]:
    """Check who signed a stream entry; what each of its reports says, still to be read one by one.

    Raises BadMessage, also for what the agent named in it did not sign.
    """
    said = signing.read_object(body)
    signing.verify(key_of(said.get("agent", "")), body.encode(), mac)
    if "reports" not in said:
        return [said]
    if said.get("v") != VERSION:
        raise BadMessage(why=f"its version is {said.get('v')!r}, and this replica reads {VERSION}")
    if not isinstance(said["reports"], list):
        raise BadMessage(why="its reports are no list")
    signed = {name: said.get(name, "") for name in _SHARED}
    return [{**each, **signed} if isinstance(each, dict) else each for each in said["reports"]]


def read(fields: Any) -> Report:
    """Read one report. Raises BadMessage."""
    try:
        kind = ReportKind(fields["kind"])
        return _CLASS.get(kind, KernelReport)(**{**fields, "kind": kind})
    except (TypeError, ValueError, KeyError) as error:
        raise BadMessage(why=f"its fields are not those of a report ({error})") from error


def _fields(report: Report, *without: str) -> dict[str, Any]:
    return {
        name: value
        for name in report.__dataclass_fields__
        if name not in without and (value := getattr(report, name)) not in _UNSAID
    }


def _sealed(said: dict[str, Any], key: str) -> dict[str, str]:
    body = signing.write_object(said)
    return {BODY: body, MAC: signing.sign(key, body.encode())}
