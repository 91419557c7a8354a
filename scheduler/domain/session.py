"""What the store knows of a session: the session, its kernels, its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.domain.ids import SessionId
from scheduler.domain.request import Request
from scheduler.domain.states import FINAL, KernelState, SessionState

#: Characters of an error that a list shows.
_SHOWN = 120


def headline(error: str) -> str:
    """Of a traceback the line that says what was raised, without the frames; else the first line."""
    lines = error.strip().splitlines()
    for line in lines:
        if line.startswith("  | ") and not line[4:].startswith((" ", "+")):
            return line[4:]  # of an exception group, the group
    skip = [index for index, line in enumerate(lines) if line.startswith((" ", "Traceback"))]
    rest = lines[skip[-1] + 1 :] if skip else lines
    return (rest or lines[-1:] or [""])[0].strip()


def why(reason: str, error: str, spoilt: str = "") -> str:
    """What lists say of how something ended: its reason, and of the error the line that matters."""
    return ": ".join(filter(None, (spoilt, reason, headline(error)[:_SHOWN])))


@dataclass(frozen=True, slots=True)
class KernelData:
    """One process of a session's current placement."""

    index: int
    state: KernelState
    agent: str
    boot: str
    slots: Mapping[str, int]  #: device slots it holds, or held
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""  #: one word: exited, raised, timed_out, stopped, lost, ...
    error: str = ""  #: a sentence or a traceback for people


@dataclass(frozen=True, slots=True)
class AttemptData:
    """One try to run a session, as its history keeps it. Times are ms of Redis' clock."""

    attempt: int
    agents: tuple[str, ...]
    started_at: int
    placement: str = ""
    deadline: int | None = None
    ended_at: int | None = None
    outcome: str = ""
    error: str = ""
    reason: str = ""  #: one word, where the session went on after it


@dataclass(frozen=True, slots=True)
class SessionData:
    """One session as stored. Times are ms of Redis' clock."""

    id: SessionId
    group: str
    name: str
    state: SessionState
    priority: int
    seq: int  #: order of submission within the namespace
    request: Request
    payload_digest: str
    submitted_at: int
    work: str = ""  #: what it runs, as one short line
    attempt: int = 0
    rescues: int = 0
    placement: str = ""
    reason: str = ""  #: why it ended, or is being stopped
    error: str = ""
    unmet: int = 0  #: dependencies still waited for
    not_before: int | None = None
    placed_at: int | None = None  #: while it is placed: since when it holds its slots
    timeout_ms: int | None = None  #: of a job, once placed: what its office gave its last placement
    running_at: int | None = None
    ended_at: int | None = None
    cancel_requested: str | None = None  #: why, when somebody asked while it was placed
    cancelled_at: int | None = None  #: when it was cancelled or first asked to be
    retries_from: int = 0  #: attempts before an operator asked for it again do not count
    unsealed: bool = False  #: further dependencies are still being loaded
    idempotency_key: str | None = None
    callback: str = field(default="", repr=False)  #: the address its outcome is posted to
    callback_told: str = ""  #: waiting, delivered with the time, failing or parked with why
    kernels: tuple[KernelData, ...] = ()
    history: tuple[AttemptData, ...] = field(default=())
    unreadable: tuple[str, ...] = ()  #: fields of its record that make no sense
    own_timeout_ms: int | None = None  #: set after it was submitted; else its request says
    job: str = ""  #: "office" or "office/role" whose job it is; "" is nobody's

    @property
    def office(self) -> str:
        """The office it is a job of, or ""."""
        return self.job.partition("/")[0]

    @property
    def role(self) -> str:
        """Its role within the office, or ""."""
        return self.job.partition("/")[2]

    @property
    def retry_count(self) -> int:
        """Attempts after the first, since it was submitted or asked to run again; lost ones do not count."""
        return max(0, self.attempt - self.retries_from - 1)

    @property
    def spoilt(self) -> str:
        """What is wrong with its record, or "": only its other fields are as they were written."""
        named = ", ".join(self.unreadable)
        return f"its record in Redis makes no sense ({named})" if named else ""

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more, unless somebody retries it."""
        return self.state in FINAL

    @property
    def why(self) -> str:
        """The reason with the last line of the error, which of a traceback is what was raised."""
        return why(self.reason, self.error, "" if self.spoilt in self.reason else self.spoilt)

    def summary(self) -> dict[str, Any]:
        """The fields a list shows."""
        return {
            "id": self.id,
            "name": self.name,
            "work": self.work,
            "state": str(self.state),
            "group": self.group,
            "priority": self.priority,
            "attempt": self.attempt,
            "agents": sorted({k.agent for k in self.kernels}),
            "reason": self.why,
            "submitted_at": self.submitted_at,
            "ended_at": self.ended_at,
        }
