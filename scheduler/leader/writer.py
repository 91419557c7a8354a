"""Writes decisions and keeps the leader's picture equal to what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from scheduler.cycle.snapshot import AGENTS
from scheduler.domain.moves import Keep, Move, Place, Stop
from scheduler.domain.states import SessionState
from scheduler.intake.board import PlacedSession
from scheduler.intake.decide import Decision, Rules, conclude
from scheduler.leader.job_log import JobLine, JobLog
from scheduler.leader.state import LeaderState, Repositories, load_agents, reload_placed
from scheduler.observability.logs import get_logger
from scheduler.store.placing import Applying

#: Moves per script, by weight: fifty stay within the 10 ms a script may take on a busy machine; a hundred took 14.
BATCH = 50
#: How the word of a move begins that an error ended; the error follows.
SPOILT = "spoilt "
_EXPECTED = frozenset({"done", "already", "stopping", "cancelled", "unplaced", "weaker", "more"})


@dataclass(slots=True)
class Batch:
    """Moves collected for one write, and the sessions whose record must be read again after it."""

    moves: list[Move] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)  #: session of each move, or ""
    reread: set[str] = field(default_factory=set)
    lines: list[tuple[int, JobLine]] = field(default_factory=list)  #: each with its move's number

    def add(self, moves: Iterable[Move], owner: str = "") -> None:
        """Add moves that belong to a session, or to none."""
        for move in moves:
            self.moves.append(move)
            self.owners.append(owner)
            if isinstance(move, Stop):
                self.reread.add(owner)


def _parts(moves: Sequence[Move]) -> Iterator[list[Move]]:
    """Moves as they go into scripts; one part without any where there are none."""
    part: list[Move] = []
    weight = 0
    for move in moves:
        if weight + move.weight > BATCH:
            yield part
            part, weight = [], 0
        part.append(move)
        weight += move.weight
    yield part


class Writer:
    """The only way by which a term writes."""

    def __init__(
        self, state: LeaderState, repositories: Repositories, rules: Rules, rq_job: Sequence[str]
    ) -> None:
        self._state = state
        self._repositories = repositories
        self._rules = rules
        self._rq_job = rq_job
        self._log = get_logger(
            group=repositories.leader.term.group, term=repositories.leader.term.number
        )
        self._job_log = JobLog(self._log, lambda: state.snapshot.now_ms)

    def accept(self, batch: Batch, before: PlacedSession, decision: Decision) -> None:
        """Take a decision into the batch, and into the picture as if it were written already.

        A batch that cannot be written ends the term, and the picture with it.
        """
        first = len(batch.moves)
        batch.add(decision.moves, before.id)
        batch.lines += [
            (first + number, line) for number, line in self._job_log.lines(before, decision.moves)
        ]
        after = decision.session
        if after is None:
            self._state.board.drop(before.id)
        else:
            if after.state is SessionState.RUNNING and after.running_at is None:
                # As the picture's clock says; the script writes its own, which is hardly later.
                after = replace(after, running_at=self._state.snapshot.now_ms)
            self._state.board.put(after)
        self._account(before, after)

    def write(self, batch: Batch, *, cursor: tuple[str, str] | None = None) -> list[str]:
        """Write a batch; with a cursor, as the consequence of reports. The word of each move."""
        if not batch.moves and cursor is None:
            return []
        words: list[str] = []
        # Only the last part moves the cursor: what was applied before it is repeated without effect.
        parts = list(_parts(batch.moves))
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            words += self._repositories.leader.apply(
                part, cursor=cursor if last else None, inbox=self._state.inbox_cursor
            )
        if cursor is not None:
            self._state.reports_cursor = cursor[1]
        for move, owner, word in zip(batch.moves, batch.owners, words, strict=True):
            if word.startswith(SPOILT):
                self._set_aside(owner, move.verb, word)
            elif word not in _EXPECTED:
                self._log.warning("move.refused", verb=move.verb, session=owner, answer=word)
                batch.reread |= {owner} - {""}
            if not owner:
                self._job_log.settled(move, word)
        for number, line in batch.lines:
            self._job_log.written(line, words[number])
        if batch.reread:
            self._read_again(batch.reread)
        return words

    def _set_aside(self, session: str, verb: str, word: str) -> None:
        """A record made a move break: leave the session alone, and what it holds to the doctor."""
        self._log.error("move.broke", verb=verb, session=session, why=word.removeprefix(SPOILT))
        old = self._state.board.get(session)
        self._state.board.drop(session)
        self._state.broken |= {session} - {""}
        if old is not None:
            load_agents(self._state, self._repositories, old.agents)

    def conclude(self, sessions: Iterable[PlacedSession]) -> None:
        """End the sessions whose kernels are all over: nobody reports of them any more."""
        batch = Batch()
        for session in sessions:
            if not any(kernel.live for kernel in session.kernels):
                self.accept(batch, session, Decision((conclude(session, self._rules),), None))
        self.write(batch)

    def pack_place(self, placements: Sequence[Place], keeps: Sequence[Keep]) -> Applying:
        """Placements, and what the selector keeps, made ready to be committed."""
        return self._repositories.leader.pack_place(
            placements, keeps, self._rq_job, inbox=self._state.inbox_cursor
        )

    def _read_again(self, sessions: set[str]) -> None:
        before = {session: self._state.board.get(session) for session in sorted(sessions)}
        now = {
            session.id: session
            for session in reload_placed(self._state, self._repositories, list(before))
        }
        for session, old in before.items():
            new = now.get(session)
            if old is not None:
                self._account(old, new)
            else:
                # Dropped from the picture, yet refused: only its agents' records tell what is free.
                load_agents(self._state, self._repositories, new.agents if new else [])
        self.conclude(now.values())

    def _account(self, before: PlacedSession, after: PlacedSession | None) -> None:
        """Give back in the snapshot what a session does not hold any more."""
        freed = False
        for kernel in before.kernels:
            now = (
                after.kernels[kernel.index]
                if after and after.placement == before.placement
                else None
            )
            if kernel.live and not (now and now.live):
                endpoint = before.request.constraints.endpoint
                self._state.agents.give(kernel.agent, kernel.slots, endpoint)
                freed = True
        if freed:
            self._state.waiting.wake(AGENTS)
        if after is None:
            self._state.snapshot.hold(before.request, -1)
