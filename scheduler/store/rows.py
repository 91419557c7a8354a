"""SessionRow, the record in Redis, and SessionData, the domain's value: mapped both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.domain.ids import SessionId
from scheduler.domain.request import Request
from scheduler.domain.session import AttemptData, KernelData, SessionData
from scheduler.domain.states import KernelState, SessionState

#: Field name -> text; nested kernels are ``kernel:<index>:<field>``, attempts ``history:<number>``.
SessionRow = Mapping[str, str]

T = TypeVar("T")

#: Where nobody can tell how long an agent's kernels live by themselves: only an operator ends the wait.
_LONG_LEASE_MS: Final = 24 * 3_600_000
_KERNEL_FIELDS = ("state", "agent", "boot", "slots", "exit_code", "signal", "reason", "error")


def session_from_row(session: str, row: SessionRow, request: Request) -> SessionData:
    """Read a record."""
    return SessionData(
        id=SessionId(session),
        group=row["group"],
        name=row.get("name", ""),
        state=SessionState(row["state"]),
        priority=int(row["priority"]),
        seq=int(row["seq"]),
        request=request,
        payload_digest=row["digest"],
        work=row.get("work", ""),
        submitted_at=int(row["submitted_at"]),
        attempt=int(row.get("attempt", 0)),
        rescues=int(row.get("rescues", 0)),
        placement=row.get("placement", ""),
        reason=row.get("reason", ""),
        error=row.get("error", ""),
        unmet=int(row.get("unmet", 0)),
        not_before=_optional_int(row.get("not_before")),
        placed_at=_optional_int(row.get("placed_at")),
        running_at=_optional_int(row.get("running_at")),
        ended_at=_optional_int(row.get("ended_at")),
        cancel_requested=row.get("cancel_requested"),
        retries_from=int(row.get("retries_from", 0)),
        unsealed=row.get("unsealed") == "1",
        idempotency_key=row.get("idempotency_key"),
        kernels=tuple(_kernel(row, index) for index in range(int(row.get("kernels", 0)))),
        history=_history(row),
    )


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
        "attempt": data.attempt,
        "rescues": data.rescues,
        "placement": data.placement,
        "reason": data.reason,
        "error": data.error,
        "unmet": data.unmet,
        "retries_from": data.retries_from,
        "unsealed": int(data.unsealed),
        "kernels": len(data.kernels),
    }
    row |= {name: str(value) for name, value in optional.items() if value}
    nullable = {
        "not_before": data.not_before,
        "placed_at": data.placed_at,
        "running_at": data.running_at,
        "ended_at": data.ended_at,
        "cancel_requested": data.cancel_requested,
        "idempotency_key": data.idempotency_key,
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


def _kernel(row: SessionRow, index: int) -> KernelData:
    found = {name: row.get(f"kernel:{index}:{name}", "") for name in _KERNEL_FIELDS}
    return KernelData(
        index=index,
        state=KernelState(found["state"]),
        agent=found["agent"],
        boot=found["boot"],
        slots=json.loads(found["slots"]),
        exit_code=_optional_int(found["exit_code"]),
        signal=_optional_int(found["signal"]),
        reason=found["reason"],
        error=found["error"],
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


def _history(row: SessionRow) -> tuple[AttemptData, ...]:
    attempts = []
    for name, text in row.items():
        if name.startswith("history:"):
            found = json.loads(text)
            # cjson writes an empty list as {}.
            found["agents"] = tuple(found.get("agents") or ())
            attempts.append(AttemptData(**found))
    return tuple(sorted(attempts, key=lambda attempt: attempt.attempt))


def _optional_int(text: str | None) -> int | None:
    return int(text) if text else None


def agent_from_record(agent: str, record: Mapping[str, str]) -> AgentData:
    """Read an agent's record; what makes no sense is named, and read as what does the least harm.

    One spoilt record must not keep a leader from looking after all the others.
    """
    fields = _Fields(record)
    return AgentData(
        id=agent,
        group=record.get("group", ""),
        boot=record.get("boot", ""),
        status=fields.read("status", AgentStatus, AgentStatus.NOT_READY, AgentStatus.NOT_READY),
        drained=record.get("drained") == "1",
        capacity=fields.amounts("total:"),
        free=fields.amounts("free:"),
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


class _Fields:
    """The fields of a record, of which some may be nonsense."""

    def __init__(self, record: Mapping[str, str]) -> None:
        self._record = record
        self.unreadable = [name for name in ("group", "status") if name not in record]

    def read(self, name: str, read: Callable[[str], T], absent: T, unreadable: T) -> T:
        """One field."""
        text = self._record.get(name)
        if text is None:
            return absent
        try:
            return read(text)
        except (ValueError, RecursionError):
            self.unreadable.append(name)
            return unreadable

    def amounts(self, prefix: str) -> dict[str, int]:
        """All fields with a prefix; a slot that is nonsense is not offered."""
        names = sorted(name for name in self._record if name.startswith(prefix))
        found = {name.removeprefix(prefix): self.read(name, _amount, 0, None) for name in names}
        return {slot: amount for slot, amount in found.items() if amount is not None}


def _amount(text: str) -> int:
    amount = int(text)
    if abs(amount) >= 2**53:
        raise ValueError(f"{text[:64]} is more than anything has")
    return amount


def _texts(text: str) -> dict[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {text[:64]}")  # noqa: TRY004 - one error for all fields
    return {name: str(value) for name, value in found.items()}


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
