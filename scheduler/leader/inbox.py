"""Hears what apps and operators did beside the leader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from scheduler.domain.moves import Reach, Timer
from scheduler.domain.scope import Scope
from scheduler.domain.states import SessionState
from scheduler.intake import decide
from scheduler.intake.board import PlacedSession
from scheduler.intake.decide import Rules
from scheduler.leader.reports import ReportsIntake
from scheduler.leader.state import (
    LeaderState,
    Repositories,
    load_agents,
    load_scopes,
    load_waiting,
)
from scheduler.leader.writer import Batch, Writer
from scheduler.store.streams import Entry


class ResignationAsked(Exception):
    """An operator asked the leader to hand over."""


class Inbox:
    """Entries of one group's inbox."""

    def __init__(  # noqa: PLR0913 - the parts of one term
        self,
        state: LeaderState,
        repositories: Repositories,
        writer: Writer,
        rules: Rules,
        reports: ReportsIntake,
        set_timer: Callable[[PlacedSession], Timer],
    ) -> None:
        self._state = state
        self._repositories = repositories
        self._writer = writer
        self._rules = rules
        self._reports = reports
        self._set_timer = set_timer
        self.unresolved = True
        self.offices: list[str] = []  #: that somebody asked to process
        self.profiles: list[str] = []  #: that were asked for, and not begun yet
        self.full = ""  #: percent of memory used when submits must be refused, else ""
        self.server = repositories.leader.server_identity()  #: the Redis that was seen last

    def handle(self, entries: Sequence[Entry]) -> None:  # noqa: C901, PLR0912 - one branch per kind of entry
        """Follow up what was heard. Raises ResignationAsked."""
        ready: list[str] = []
        for entry in entries:
            self._state.inbox_cursor = entry.id
            what = entry.fields["what"]
            match entry.fields["kind"]:
                case "ready":
                    ready += what.split()
                case "anew":
                    # Of another priority or another request: it is another one to the queue.
                    self._state.waiting.discard(what)
                    ready.append(what)
                case "cancel":
                    self.cancel(what)
                case "timeout":
                    self.change_timeout(what)
                case "resolve":
                    self.unresolved = True
                case "scope":
                    load_scopes(self._state, self._repositories, [Scope(*what.split(" ", 1))])
                case "execute":
                    ready.append(what)
                    self._state.waiting.wake_of(what)
                case "agent":
                    self._agent_changed(what)
                case "lost":
                    self._declared_lost(*what.partition(" ")[::2])
                case "process":
                    self.offices.append(what)
                case "profile":
                    self.profiles.append(what)
                case "resign" if what == str(self._repositories.leader.term.number):
                    raise ResignationAsked
                case _:
                    pass
        if ready:
            load_waiting(self._state, self._repositories, ready)

    def cancel(self, session: str) -> None:
        """Carry out a cancel that was asked for while the session was placed."""
        placed = self._state.board.get(session)
        if placed is None:
            # It was placed back into the queue meanwhile, or ended; only its record tells.
            for data in self._repositories.sessions.many([session]):
                if data.cancel_requested and data.state in (
                    SessionState.READY,
                    SessionState.RETRYING,
                ):
                    self._repositories.sessions.cancel(session, data.cancel_requested)
                    self._state.waiting.discard(session)
            return
        batch = Batch()
        self._writer.accept(
            batch, placed, decide.stop(placed, "cancelled", "cancelled by its owner", self._rules)
        )
        self._writer.write(batch)

    def change_timeout(self, session: str) -> None:
        """A session may run for another time than it was placed with."""
        found = self._repositories.sessions.many([session])
        own = found[0].own_timeout_ms if found else None
        placed = self._state.board.get(session)
        if placed is not None and placed.state is not SessionState.TERMINATING:
            changed = replace(placed, own_timeout_ms=own)
            batch = Batch()
            batch.add([self._set_timer(changed)], session)
            self._state.board.put(changed)
            self._writer.write(batch)
        elif placed is None and self._state.waiting.discard(session) is not None:
            load_waiting(self._state, self._repositories, [session])

    def _agent_changed(self, agent: str) -> None:
        """Drained, undrained or removed."""
        load_agents(self._state, self._repositories, [agent])
        self._writer.write(self.reach())

    def reach(self) -> Batch:
        """What submits are measured against now."""
        batch = Batch()
        batch.add(
            [
                Reach(
                    self._repositories.leader.term.group,
                    self._state.reachable(),
                    self.full,
                    self.server,
                )
            ]
        )
        return batch

    def _declared_lost(self, agent: str, boot: str) -> None:
        row = self._state.agents.get(agent)
        if row is None or row.data.boot != boot:
            return
        batch, why = Batch(), f"an operator said that agent {agent} is lost"
        self._reports.declare_lost(batch, row.data, why)
        self._writer.write(batch)
        load_agents(self._state, self._repositories, [agent])
