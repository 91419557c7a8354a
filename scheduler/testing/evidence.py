"""What a cluster did, by three witnesses that know nothing of each other: kernels' own notes, events, the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from scheduler.domain.events import EventData
from scheduler.domain.states import FINAL

_ENDS = {f"session.{state.value.lower()}" for state in FINAL}


@dataclass(frozen=True, slots=True)
class WitnessEntry:
    """One line of a kernel, or a child of it: ``start|alive|end SESSION ATTEMPT NAME TIME_NS``."""

    what: str
    session: str
    attempt: int
    name: str
    at_ns: int


def read_witness(path: Path) -> list[WitnessEntry]:
    """All lines of a witness file; a last line without an end, of a kernel that was killed, is left out."""
    entries = []
    for line in path.read_text().splitlines() if path.exists() else ():
        what, session, attempt, name, at_ns = line.split()
        entries.append(WitnessEntry(what, session, int(attempt), name, int(at_ns)))
    return entries


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen; each check returns sentences about what is wrong, none when all is well."""

    witness: tuple[WitnessEntry, ...]
    events: tuple[EventData, ...]

    def holes(self) -> list[str]:
        """Events must be numbered without hole or double within an epoch."""
        wrong: list[str] = []
        last: dict[int, int] = {}
        for event in self.events:
            expected = last.get(event.epoch, event.seq - 1) + 1
            if event.seq != expected:
                wrong.append(f"event {event.id} follows {event.epoch}-{expected - 1}")
            last[event.epoch] = event.seq
        return wrong

    def ends(self, sessions: Iterable[str]) -> list[str]:
        """Every session must have ended exactly once."""
        ended = Counter(event.fields["session"] for event in self.events if event.name in _ENDS)
        return [
            f"session {session} ended {ended[session]} times"
            for session in sessions
            if ended[session] != 1
        ]

    def starts(self, sessions: Iterable[str], *, at_most: int = 1) -> list[str]:
        """Every session must have been started at least once, and so often at most."""
        started = Counter(entry.session for entry in self.witness if entry.what == "start")
        return [
            f"session {session} was started {started[session]} times"
            for session in sessions
            if not 1 <= started[session] <= at_most
        ]

    def overlaps(self) -> list[str]:
        """No two attempts of a session may run at the same time.

        An attempt lasts from its first line to its last, whoever of its processes wrote it. One that
        was killed wrote no end; then the last sign of life that it gave counts.
        """
        spans: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
        for entry in self.witness:
            attempts = spans[entry.session]
            first, last = attempts.get(entry.attempt, (entry.at_ns, entry.at_ns))
            attempts[entry.attempt] = (min(first, entry.at_ns), max(last, entry.at_ns))
        return [
            f"two attempts of session {session} ran at the same time"
            for session, attempts in spans.items()
            for (_, end), (start, _) in pairwise(sorted(attempts.values()))
            if start < end
        ]

    def alive_after(self, moment_ns: int) -> set[str]:
        """Names of what has given a sign of life since a moment of the monotonic clock."""
        return {entry.name for entry in self.witness if entry.at_ns > moment_ns}
