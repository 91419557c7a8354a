"""SessionRow, the record in Redis, and SessionData, the domain's value: mapped both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, TypeVar

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.callback import callback_field
from scheduler.domain.ids import SessionId, is_name
from scheduler.domain.request import Request
from scheduler.domain.session import AttemptData, KernelData, SessionData
from scheduler.domain.spec import MAX_KERNELS
from scheduler.domain.states import KernelState, SessionState

#: Field name -> text; nested kernels are ``kernel:<index>:<field>``, attempts ``history:<number>``.
SessionRow = Mapping[str, str]

T = TypeVar("T")

#: Where nobody can tell how long an agent's kernels live by themselves: only an operator ends the wait.
_LONG_LEASE_MS: Final = 24 * 3_600_000
_NUMBER = re.compile(r"[0-9]{1,16}")
#: What every session has beside its group and state, and numbers that it may have.
_NEEDED = ("priority", "seq", "request", "digest", "submitted_at")
_COUNTS = ("attempt", "rescues", "unmet", "not_before", "retries_from")
#: What can be looked at without reading a whole record.
CHECKED = ("digest", "submitted_at", *_COUNTS)


def session_from_row(session: str, row: SessionRow, request: Request) -> SessionData:
    """Read a record; what makes no sense is named, and read as what does the least harm.

    One spoilt record must not keep a leader, a list or the doctor from all the others. Of a state
    that is none nothing follows any more, as of one that ended.
    """
    fields = _Fields(row, needed=("group", "state", *_NEEDED))
    read = fields.number
    found = SessionData(
        id=SessionId(session),
        group=fields.read("group", _name, "", ""),
        name=row.get("name", ""),
        state=fields.read("state", SessionState, SessionState.FAILED, SessionState.FAILED),
        priority=read("priority"),
        seq=read("seq"),
        request=request,
        payload_digest=row.get("digest", ""),
        work=row.get("work", ""),
        submitted_at=read("submitted_at"),
        attempt=read("attempt"),
        rescues=read("rescues"),
        placement=row.get("placement", ""),
        reason=row.get("reason", ""),
        error=row.get("error", ""),
        unmet=read("unmet"),
        not_before=fields.optional("not_before"),
        placed_at=fields.optional("placed_at"),
        timeout_ms=fields.optional("timeout_ms"),
        running_at=fields.optional("running_at"),
        ended_at=fields.optional("ended_at"),
        cancel_requested=row.get("cancel_requested"),
        cancelled_at=fields.optional("cancelled_at"),
        job=row.get("job", ""),
        retries_from=read("retries_from"),
        unsealed=row.get("unsealed") == "1",
        own_timeout_ms=fields.optional("own_timeout_ms"),
        idempotency_key=row.get("idempotency_key"),
        callback=row.get("callback", "").partition(" ")[2],
        callback_told=row.get("callback_told", ""),
        kernels=tuple(_kernel(row, index, fields) for index in range(_kernels(row, fields))),
        history=_history(row, fields),
    )
    if not fields.unreadable:
        return found
    found = replace(found, unreadable=tuple(dict.fromkeys(fields.unreadable)))
    return replace(found, reason=found.spoilt) if "state" in found.unreadable else found


def nonsense(row: Mapping[str, str | None]) -> tuple[str, ...]:
    """Those of some fields of a session's record that make no sense; None is a field that is not there."""
    needed = [name for name in ("group", "state", *_NEEDED) if name in row]
    fields = _Fields({name: text for name, text in row.items() if text is not None}, needed)
    fields.read("state", SessionState, SessionState.FAILED, SessionState.FAILED)
    fields.read("group", _name, "", "")
    for name in (*_NEEDED, *_COUNTS):
        if name not in ("request", "digest"):
            fields.number(name)
    return tuple(dict.fromkeys(fields.unreadable))


def row_from_session(data: SessionData) -> dict[str, str]:
    """Write a record; reading it back gives the same value."""
    row = {
        "group": data.group,
        "state": str(data.state),
        "priority": str(data.priority),
        "seq": str(data.seq),
        "request": data.request.id,
        "digest": data.payload_digest,
        "submitted_at": str(data.submitted_at),
    }
    optional: dict[str, Any] = {
        "name": data.name,
        "work": data.work,
        "job": data.job,
        "attempt": data.attempt,
        "rescues": data.rescues,
        "placement": data.placement,
        "reason": data.reason,
        "error": data.error,
        "unmet": data.unmet,
        "retries_from": data.retries_from,
        "unsealed": int(data.unsealed),
        "kernels": len(data.kernels),
        "callback": callback_field(data.callback) if data.callback else "",
        "callback_told": data.callback_told,
    }
    row |= {name: str(value) for name, value in optional.items() if value}
    nullable = {
        "not_before": data.not_before,
        "placed_at": data.placed_at,
        "timeout_ms": data.timeout_ms,
        "running_at": data.running_at,
        "ended_at": data.ended_at,
        "cancel_requested": data.cancel_requested,
        "cancelled_at": data.cancelled_at,
        "idempotency_key": data.idempotency_key,
        "own_timeout_ms": data.own_timeout_ms,
    }
    row |= {name: str(value) for name, value in nullable.items() if value is not None}
    for kernel in data.kernels:
        row |= _kernel_row(kernel)
    for attempt in data.history:
        row[f"history:{attempt.attempt}"] = json.dumps(
            {
                name: value
                for name in AttemptData.__slots__
                if (value := getattr(attempt, name)) is not None and value != ""
            }
        )
    return row


def _kernels(row: SessionRow, fields: _Fields) -> int:
    """How many kernels there are; where the number makes no sense, those that are there."""
    count = fields.read("kernels", _kernel_count, 0, -1)
    if count >= 0:
        return count
    return next(n for n in range(MAX_KERNELS + 1) if f"kernel:{n}:state" not in row)


def _kernel_count(text: str) -> int:
    if (count := _number(text)) > MAX_KERNELS:
        raise ValueError(f"{count} kernels are more than a session has")
    return count


def _kernel(row: SessionRow, index: int, fields: _Fields) -> KernelData:
    prefix = f"kernel:{index}:"
    for name in ("state", "agent", "boot", "slots"):
        if prefix + name not in row:
            fields.unreadable.append(prefix + name)
    # It may run: nothing may be concluded before its agent, or that agent's death, says otherwise.
    unknown = KernelState.UP
    return KernelData(
        index=index,
        state=fields.read(prefix + "state", KernelState, unknown, unknown),
        agent=row.get(prefix + "agent", ""),
        boot=row.get(prefix + "boot", ""),
        slots=fields.read(prefix + "slots", slots_from, {}, {}),
        exit_code=fields.optional(prefix + "exit_code"),
        signal=fields.optional(prefix + "signal"),
        reason=row.get(prefix + "reason", ""),
        error=row.get(prefix + "error", ""),
    )


def _kernel_row(kernel: KernelData) -> dict[str, str]:
    values = {
        "state": str(kernel.state),
        "agent": kernel.agent,
        "boot": kernel.boot,
        "slots": json.dumps(kernel.slots),
        "exit_code": "" if kernel.exit_code is None else str(kernel.exit_code),
        "signal": "" if kernel.signal is None else str(kernel.signal),
        "reason": kernel.reason,
        "error": kernel.error,
    }
    return {f"kernel:{kernel.index}:{name}": value for name, value in values.items() if value}


def _history(row: SessionRow, fields: _Fields) -> tuple[AttemptData, ...]:
    names = [name for name in row if name.startswith("history:")]
    found = (fields.read(name, _attempt, None, None) for name in names)
    return tuple(sorted(filter(None, found), key=lambda attempt: attempt.attempt))


def _attempt(text: str) -> AttemptData | None:
    found = _object(text)
    # cjson writes an empty list as {}.
    found["agents"] = tuple(map(str, found.get("agents") or ()))
    numbers = {found["attempt"], found["started_at"], found.get("deadline"), found.get("ended_at")}
    if not all(isinstance(number, int) for number in numbers - {None}):
        raise ValueError("its times are no numbers")
    return AttemptData(**found)


def agent_from_record(agent: str, record: Mapping[str, str]) -> AgentData:
    """Read an agent's record; what makes no sense is named, and read as what does the least harm.

    One spoilt record must not keep a leader from looking after all the others.
    """
    fields = _Fields(record, needed=("group", "status"))
    total, free = fields.amounts()
    return AgentData(
        id=agent,
        group=record.get("group", ""),
        boot=record.get("boot", ""),
        status=fields.read("status", AgentStatus, AgentStatus.NOT_READY, AgentStatus.NOT_READY),
        drained=record.get("drained") == "1",
        capacity=total,
        free=free,
        models=fields.read("models", _texts, {}, {}),
        labels=fields.read("labels", _texts, {}, {}),
        architecture=record.get("architecture", ""),
        address=record.get("address", ""),
        lease_ms=fields.read("lease_ms", int, 30_000, _LONG_LEASE_MS),
        grace_ms=fields.read("grace_ms", int, 3_000, 3_000),
        max_kernels=fields.read("max_kernels", int, 0, 0),
        admitted_at=fields.read("admitted_at", int, 0, 0),
        candidate=record.get("candidate", ""),
        refused=record.get("refused", ""),
        unreadable=tuple(fields.unreadable),
    )


def labels_of(record: Mapping[str, str]) -> Mapping[str, str]:
    """The labels in an agent's record, {} for what makes no sense."""
    return _Fields(record, ()).read("labels", _texts, {}, {})


class _Fields:
    """The fields of a record, of which some may be nonsense."""

    def __init__(self, record: Mapping[str, str], needed: Iterable[str]) -> None:
        self._record = record
        self.unreadable = [name for name in needed if name not in record]

    def read(self, name: str, read: Callable[[str], T], absent: T, unreadable: T) -> T:
        """One field."""
        text = self._record.get(name)
        if text is None:
            return absent
        try:
            return read(text)
        except (ValueError, TypeError, KeyError, RecursionError):
            self.unreadable.append(name)
            return unreadable

    def number(self, name: str) -> int:
        """A number, 0 where there is none."""
        return self.read(name, _number, 0, 0)

    def optional(self, name: str) -> int | None:
        """A number, or None where there is none."""
        return self.read(name, lambda text: _number(text) if text else None, None, None)

    def amounts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Total and free of each slot, by name; a slot that is nonsense is not offered."""
        total: dict[str, int] = {}
        free: dict[str, int] = {}
        for name in sorted([name for name in self._record if name.startswith(("total:", "free:"))]):
            kind, _, slot = name.partition(":")
            try:
                (total if kind == "total" else free)[slot] = _amount(self._record[name])
            except ValueError:
                self.unreadable.append(name)
        return total, free


def _amount(text: str) -> int:
    amount = int(text)
    if abs(amount) >= 2**53:
        raise ValueError(f"{text[:64]} is more than anything has")
    return amount


# Agents of a kind say the same, and explaining reads all of a group.
@lru_cache(maxsize=4096)
def _texts(text: str) -> Mapping[str, str]:
    return {name: str(value) for name, value in _object(text).items()}


# Many kernels hold the same: a leader of 20,000 reads a few texts.
@lru_cache(maxsize=4096)
def slots_from(text: str) -> Mapping[str, int]:
    """Slots as they are stored; raises ValueError for what makes no sense."""
    return {slot: _number(str(amount)) for slot, amount in _object(text).items()}


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {text[:64]}")  # noqa: TRY004 - one error for all fields
    return found


def _number(text: str) -> int:
    """A number as Lua reads it, too; int() would take " 1_0 "."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"expected a number, got {text[:64]}")
    return int(text)


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"expected a name, got {text[:64]}")
    return text


def beat_from_text(text: str) -> Beat | None:
    """Read a beat; None for one that makes no sense, as if none had come.

    It begins with its time, which alone changes where nothing starts or ends.
    """
    at, _, rest = text.removeprefix('{"at":').partition(",")
    try:
        return Beat(int(at), *_beat_but_its_time(rest))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


# Parsing JSON was a third of the leader's look at 10,000 beats.
@lru_cache(maxsize=16_384)
def _beat_but_its_time(rest: str) -> tuple[str, int, tuple[str, ...]]:
    found = json.loads("{" + rest)
    return str(found["boot"]), int(found["claims"]), tuple(map(str, found["running"] or ()))
