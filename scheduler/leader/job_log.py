"""A line in the log for what happens to jobs: those of offices, and whatever failed for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from scheduler.domain.job_events import JobEvent
from scheduler.domain.moves import Advance, Finish, Move, Settle, Stop, Up
from scheduler.domain.office import office_and_role
from scheduler.domain.request import Request
from scheduler.domain.session import headline
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedSession

_ENDS: Final = {
    SessionState.SUCCEEDED: JobEvent.COMPLETED,
    SessionState.FAILED: JobEvent.FAILED,
    SessionState.TIMED_OUT: JobEvent.TIMEOUT,
    SessionState.CANCELLED: JobEvent.CANCELLED,
    SessionState.RETRYING: JobEvent.RETRYING,
}
_LEVELS: Final = {
    JobEvent.FAILED: "error",
    JobEvent.TIMEOUT: "error",
    JobEvent.RETRYING: "warning",
}
#: Of a session that is nobody's job only these are told: thousands end per second.
_ALWAYS: Final = frozenset({JobEvent.FAILED, JobEvent.TIMEOUT})
_PERMANENT: Final = frozenset({SessionState.FAILED, SessionState.TIMED_OUT})
#: What is beyond is on the stream of events, as everything is.
LINES_PER_S: Final = 200
#: The word by which a script says that it did what these events tell.
_WORDS: Final = {JobEvent.CANCELLED: ("done", "cancelled")}
_DONE: Final = ("done",)
#: Kinds of requests whose office is remembered.
_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class JobLine:
    """A line that is due once its move is written."""

    event: JobEvent
    facts: dict[str, Any]


class JobLog:
    """Finds lines among moves, and writes those whose moves were done.

    A line takes as long as a tenth of a job: beyond some per second they are only counted.
    """

    def __init__(self, log: FilteringBoundLogger, now_ms: Callable[[], int]) -> None:
        self._log = log
        self._now_ms = now_ms
        self._whose: dict[str, tuple[str, str]] = {}
        self._second = 0
        self._lines = 0
        self._unwritten: Counter[str] = Counter()

    def lines(self, session: PlacedSession, moves: Sequence[Move]) -> list[tuple[int, JobLine]]:
        """The lines of what was decided about a session, each with the number of its move."""
        office, role = self._whose.get(session.request.id) or self._find(session.request)
        if not office and not any(
            type(move) is Finish and move.target in _PERMANENT for move in moves
        ):
            return []
        found = []
        for number, move in enumerate(moves):
            for event, told in _events(move):
                if office or event in _ALWAYS:
                    facts: dict[str, Any] = {"session": session.id, "office": office, "role": role}
                    facts["attempt"] = session.attempt + (session.state is SessionState.SCHEDULED)
                    facts |= {"agents": " ".join(session.agents), **told}
                    found.append((number, JobLine(event, _given(facts))))
        return found

    def written(self, line: JobLine, word: str) -> None:
        """Write a line, if its move was done."""
        if word in _WORDS.get(line.event, _DONE):
            self._write(line.event, line.facts)

    def settled(self, move: Move, word: str) -> None:
        """A session that never ran and never can: it was on no board."""
        if isinstance(move, Settle) and move.edge == "refuse" and word == "done":
            self._write(JobEvent.FAILED, {"session": move.session, "reason": move.reason})

    def _write(self, event: JobEvent, facts: dict[str, Any]) -> None:
        second = self._now_ms() // 1000
        if second != self._second:
            self._second, self._lines = second, 0
            if self._unwritten:
                self._log.warning("jobs.unlogged", **self._unwritten)
                self._unwritten.clear()
        self._lines += 1
        if self._lines > LINES_PER_S:
            self._unwritten[str(event)] += 1
            return
        getattr(self._log, _LEVELS.get(event, "info"))(str(event), **facts)

    def _find(self, request: Request) -> tuple[str, str]:
        if len(self._whose) >= _REMEMBERED:
            self._whose.clear()
        found = self._whose[request.id] = office_and_role(request.scopes)
        return found


def _events(move: Move) -> list[tuple[JobEvent, dict[str, str]]]:
    """What a move tells of a job, if it is done."""
    match move:
        case Up(last=1):
            return [(JobEvent.STARTED, {})]
        case Advance():
            told: list[tuple[JobEvent, dict[str, str]]] = []
            if move.begins != KernelState.UP and move.ends != KernelState.CLAIMED:
                told.append((JobEvent.STARTED, {}))
            if move.ends == KernelState.ENDED:
                told.append((JobEvent.COMPLETED, {}))
            return told
        case Finish() if (event := _ENDS.get(SessionState(move.target))) is not None:
            return [(event, {"reason": move.reason, "error": headline(move.error)})]
        case Stop(reason="cancelled"):
            return [(JobEvent.CANCELLED, {"reason": move.says})]
        case _:
            return []


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value != ""}
