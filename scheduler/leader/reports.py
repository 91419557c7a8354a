"""Applies what agents report: each exactly once, in order, with what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.errors import BadMessage, InvalidSetting
from scheduler.domain.ids import is_name
from scheduler.domain.moves import Admit, Answer, Kill, Mark
from scheduler.domain.states import KernelState
from scheduler.intake import decide
from scheduler.intake.advance import advanced
from scheduler.intake.decide import Rules
from scheduler.leader.checking import checked, claim_number
from scheduler.leader.orders import OrderBook
from scheduler.leader.state import LeaderState, Repositories, load_agents
from scheduler.leader.watch import Watch
from scheduler.leader.writer import Batch, Writer
from scheduler.observability.logs import get_logger
from scheduler.protocol import report as wire
from scheduler.protocol.report import KernelReport, Leaving, Registration, Report, ReportKind
from scheduler.store.streams import Entry

#: A boot that waits asks each 3 s; one that has not for so long is gone.
GONE_AFTER_MS = 15_000


class ReportsIntake:
    """Reports of one group's agents become moves."""

    def __init__(  # noqa: PLR0913 - the parts of one term
        self,
        state: LeaderState,
        repositories: Repositories,
        writer: Writer,
        rules: Rules,
        orders: OrderBook,
        watch: Watch,
    ) -> None:
        self._state = state
        self._repositories = repositories
        self._writer = writer
        self._rules = rules
        self._orders = orders
        self._watch = watch
        self._group = repositories.leader.term.group
        self._log = get_logger(group=self._group, term=repositories.leader.term.number)
        self._candidates: dict[
            str, Registration
        ] = {}  #: boots that wait for their predecessor's lease
        self._heard: dict[str, tuple[str, int]] = {}  #: boots that wait, and when each asked last
        #: Boots admitted since the agents were last read: who waited for a leader asked again and again.
        self._admitted: dict[str, str] = {}
        self.dropped = 0

    def handle(self, entries: Sequence[Entry]) -> None:
        """Apply a batch of reports and move the cursor with it."""
        batch, registered = Batch(), []
        said: dict[
            str, list[tuple[KernelReport, int]]
        ] = {}  #: by session, which do not mind each other
        for entry in entries:
            for report, claim in self._read(entry):
                if isinstance(report, KernelReport):
                    said.setdefault(report.session, []).append((report, claim))
                    continue
                # What a boot says of itself holds for what its kernels said before, and not after.
                self._kernels(batch, said)
                said = {}
                registered.append(report.agent)
                if isinstance(report, Registration):
                    self._register(batch, report)
                else:
                    self._leave(batch, report)
        self._kernels(batch, said)
        self._writer.write(batch, cursor=(self._state.reports_cursor, entries[-1].id))
        if registered:
            self._look_again(registered)

    def _look_again(self, agents: list[str]) -> None:
        load_agents(self._state, self._repositories, agents)
        self._admitted.clear()

    def _read(self, entry: Entry) -> Iterator[tuple[Report, int]]:
        """The reports of an entry, each with the number of its claim, or 0.

        One that makes no sense does not take the others with it.
        """
        body, mac = entry.fields.get(wire.BODY, ""), entry.fields.get(wire.MAC, "")
        try:
            found = wire.opened(body, mac, self._key_of)
        except (BadMessage, ValueError, InvalidSetting) as error:
            self._drop(entry, error)
            return
        numbers = entry.fields.get(wire.CLAIM, "").split(" ", len(found))
        for fields, number in zip_longest(found, numbers[: len(found)], fillvalue=""):
            if number == wire.NOT_TAKEN:
                continue
            try:
                report = checked(wire.read(fields))
            except (BadMessage, ValueError, InvalidSetting) as error:
                self._drop(entry, error)
            else:
                yield report, claim_number(number)

    def _key_of(self, agent: object) -> str:
        if not isinstance(agent, str) or not is_name(agent):
            raise BadMessage(why="it names no agent")
        return self._orders.key(agent)

    def _drop(self, entry: Entry, why: Exception) -> None:
        self.dropped += 1
        self._log.warning("report.dropped", entry=entry.id, why=str(why))

    def _kernels(
        self, batch: Batch, said: Mapping[str, Sequence[tuple[KernelReport, int]]]
    ) -> None:
        """What was said of kernels, session by session."""
        for id_, reports in said.items():
            session = self._state.board.get(id_)
            if session and (decision := advanced(session, reports, self._rules)):
                self._writer.accept(batch, session, decision)
                continue
            for report, claim in reports:
                self._kernel(batch, report, claim)

    def _kernel(self, batch: Batch, report: KernelReport, claim: int) -> None:
        session = self._state.board.get(report.session)
        if (
            session is None
            or session.placement != report.placement
            or report.kernel >= len(session.kernels)
        ):
            self.dropped += 1
            self._log.info(
                "report.superseded", session=report.session, kind=report.kind, agent=report.agent
            )
            if report.kind is ReportKind.ENDED:
                # It may have been killed as one that no placement knows.
                batch.add([Kill(report.agent, report.order, "")])
            return
        kernel = session.kernels[report.kernel]
        if (kernel.agent, kernel.boot) != (report.agent, report.boot):
            self.dropped += 1
            self._log.warning(
                "report.dropped", session=report.session, why="another boot holds this kernel"
            )
            return
        match report.kind:
            case ReportKind.CLAIMED:
                decision = decide.claimed(session, kernel, claim, self._rules)
            case ReportKind.UP:
                decision = decide.up(session, kernel, self._rules)
            case _:
                decision = decide.ended(session, kernel, report, self._rules)
        self._writer.accept(batch, session, decision)

    def _leave(self, batch: Batch, report: Leaving) -> None:
        row = self._state.agents.get(report.agent)
        if row is not None and row.data.candidate.startswith(f"{report.boot} "):
            self._forget_candidate(batch, report.agent, report.boot)
        if row is None or row.data.boot != report.boot:
            return
        self.lose(batch, row.data, f"agent {report.agent} was stopped", kept=True)
        batch.add([Mark(report.agent, report.boot, AgentStatus.LEFT, "it was stopped")])
        # Its next boot may register in the same breath, and need not wait.
        row.data = replace(row.data, status=AgentStatus.LEFT)

    def lose(self, batch: Batch, agent: AgentData, why: str, *, kept: bool) -> None:
        """All kernels of a boot are certainly dead; ``kept``: those that do not die by lease, too."""
        for session in self._state.board.on([agent.id]):
            if not kept and session.request.on_lost == "keep":
                continue
            gone = [
                k
                for k in session.kernels
                if k.agent == agent.id and k.boot == agent.boot and k.live
            ]
            self._writer.accept(batch, session, decide.lost(session, gone, why, self._rules))

    def declare_lost(self, batch: Batch, agent: AgentData, why: str) -> None:
        """An operator vouches that a boot is dead. Should it live, it must not go on with what it claimed."""
        stops = [
            Kill(agent.id, order, stop)
            for session in self._state.board.on([agent.id])
            for k in session.kernels
            if (k.agent, k.boot) == (agent.id, agent.boot) and k.live
            # One that was not claimed is void, and nobody runs it.
            if k.state is not KernelState.ORDERED
            if (order := session.order(k.index))
            if (stop := self._orders.stop_unknown(agent.id, agent.boot, order))
        ]
        self.lose(batch, agent, why, kept=True)
        batch.add([*stops, Mark(agent.id, agent.boot, AgentStatus.LOST, why)])

    def _register(self, batch: Batch, report: Registration) -> None:
        row = self._state.agents.get(report.agent)
        known = row.data if row else None
        admitted = self._admitted.get(report.agent, known.boot if known else "")
        if admitted == report.boot:
            return
        if report.agent in self._admitted and report.swept != admitted:
            # Heard in one breath with the one that was first: judged once that is on the record.
            self._candidates[report.agent] = report
            return
        if refusal := self._refusal(report, known):
            batch.add([Answer(report.agent, self._group, report.boot, "refused", refusal)])
            return
        if known is not None and known.boot:
            dead = report.swept == known.boot or self._watch.is_over(known)
            left = 0 if dead else self._watch.ms_until_lost(known)
            if left > 0:
                self._let_wait(batch, report, known, left)
                return
            self.lose(batch, known, f"agent {report.agent} was restarted", kept=True)
        self._candidates.pop(report.agent, None)
        self._admitted[report.agent] = report.boot
        batch.add([self._admission(report)])
        self._log.info("agent.admitted", agent=report.agent, boot=report.boot[:8])

    def _let_wait(self, batch: Batch, report: Registration, known: AgentData, left: int) -> None:
        self._candidates[report.agent] = report
        self._heard[report.agent] = report.boot, self._watch.now_ms
        says, more = (
            f"boot {known.boot[:8]} of it may still run kernels",
            f" for {left / 1000:.1f} s",
        )
        if self._watch.speaks(known):
            says, more = f"boot {known.boot[:8]} of it beats", "; an id is for one agent at a time"
        # It asks each 3 s, and is told once: a count that goes down for ever tells nobody anything.
        if not known.candidate.startswith(f"{report.boot} {says}"):
            batch.add([Answer(report.agent, self._group, report.boot, "waiting", says + more)])

    def _forget_candidates(self, batch: Batch) -> list[str]:
        """Boots that waited and ask no more, also those whose waiting an earlier leader noted."""
        gone, now_ms = [], self._watch.now_ms
        for row in self._state.agents.rows:
            agent, boot = row.data.id, row.data.candidate.partition(" ")[0]
            if not boot:
                continue
            known, heard_ms = self._heard.get(agent, ("", 0))
            if known != boot:
                self._heard[agent] = boot, now_ms
            elif now_ms - heard_ms > GONE_AFTER_MS:
                self._forget_candidate(batch, agent, boot)
                gone.append(agent)
        return gone

    def _forget_candidate(self, batch: Batch, agent: str, boot: str) -> None:
        waits = self._candidates.get(agent)
        if waits is not None and waits.boot == boot:
            del self._candidates[agent]
        self._heard.pop(agent, None)
        batch.add([Answer(agent, self._group, boot, "over", "")])

    def reconsider(self) -> None:
        """Admit the boots whose predecessors are certainly dead by now, forget those that ask no more."""
        batch = Batch()
        ripe = self._forget_candidates(batch)
        for agent, report in list(self._candidates.items()):
            row = self._state.agents.get(agent)
            if row is None or row.data.boot == report.boot:
                del self._candidates[agent]
            elif self._watch.is_over(row.data) or self._watch.ms_until_lost(row.data) <= 0:
                self._register(batch, report)
                ripe.append(agent)
        self._writer.write(batch)
        if ripe:
            self._look_again(ripe)

    def _refusal(self, report: Registration, known: AgentData | None) -> str:
        if report.group != self._group:
            return f"it says it belongs to group {report.group}, and reported to {self._group}"
        if not report.slots or any(amount <= 0 for amount in report.slots.values()):
            return "it offers no slots, or one that is not more than zero"
        if (
            known is None
            and (other := self._repositories.agents.many([report.agent]))
            and other[0].group != self._group
        ):
            return f"an agent of that id belongs to group {other[0].group}; choose another id or remove that one"
        return ""

    def _admission(self, report: Registration) -> Admit:
        fields = {
            "models": json.dumps(report.models),
            "labels": json.dumps(report.labels),
            "architecture": report.architecture,
            "address": report.address,
            "lease_ms": report.lease_ms,
            "grace_ms": report.grace_ms,
            "max_kernels": report.max_kernels,
        }
        shapes = [
            row.data.capacity for row in self._state.agents.rows if row.data.id != report.agent
        ]
        reachable = slot_math.pareto(
            slot_math.shape_of_free(c) for c in [*shapes, report.slots] if c
        )
        return Admit(
            agent=report.agent,
            boot=report.boot,
            group=self._group,
            fields=[str(part) for pair in fields.items() for part in pair],
            capacity=report.slots,
            reachable=json.dumps(reachable, separators=(",", ":")),
        )

    def confirm_missing(self, batch: Batch, session: str, kernel: int, why: str) -> None:
        """A kernel its agent does not run any more, though no report of its end came."""
        placed = self._state.board.get(session)
        if placed is None or not placed.kernels[kernel].live:
            return
        if placed.kernels[kernel].state is KernelState.ORDERED:
            return
        found = replace(placed.kernels[kernel])
        self._writer.accept(batch, placed, decide.lost(placed, [found], why, self._rules))
