"""Watches the agents' beats: who is silent, who is lost, which kernels nobody runs any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.protocol.names import parse_order_id


@dataclass(frozen=True, slots=True)
class WatchRules:
    """Times in ms."""

    not_ready_after: int
    margin: int
    storm_pause: int


@dataclass(slots=True)
class Seen:
    """What one look at the beats found."""

    silent: list[AgentData] = field(default_factory=list)  #: ready until now
    back: list[AgentData] = field(default_factory=list)  #: not ready until now
    alive: list[AgentData] = field(default_factory=list)  #: that count as lost, and beat
    lost: list[AgentData] = field(default_factory=list)
    storm: int = 0  #: how many fell silent at once, when that is too many to believe


class Watch:
    """Judges silence by Redis' clock, counted from the latest of beat, Redis' start and the term's start."""

    def __init__(self, rules: WatchRules, term_began_ms: int) -> None:
        self._rules = rules
        self._floor_ms = term_began_ms
        self._now_ms = term_began_ms
        self._beats: dict[str, Beat] = {}
        self._fell_silent: dict[str, int] = {}
        self._storm_until = 0
        self._lease_ms = 0
        self._misses: dict[str, dict[str, tuple[int, int]]] = {}  #: by agent, then by order
        self._strays: dict[str, dict[str, int]] = {}

    @property
    def not_ready_after_ms(self) -> int:
        """By then an agent that lives has spoken."""
        return self._rules.not_ready_after

    def redis_restarted(self, now_ms: int) -> None:
        """Beats may have been lost with it: silence counts from now on."""
        self._floor_ms = self._now_ms = now_ms

    def look(self, agents: Iterable[AgentData], beats: dict[str, Beat], now_ms: int) -> Seen:
        """Judge every admitted agent."""
        self._beats, self._now_ms = beats, now_ms
        fell_silent, self._fell_silent = self._fell_silent, {}
        seen, admitted = Seen(), 0
        for agent in agents:
            if not agent.boot or agent.status is AgentStatus.LEFT:
                continue
            admitted += 1
            self._lease_ms = max(self._lease_ms, agent.lease_ms)
            silence = now_ms - self._heard_ms(agent)
            if silence <= self._rules.not_ready_after:
                if agent.status is AgentStatus.NOT_READY and self.beat_of(agent):
                    seen.back.append(agent)
                elif agent.status is AgentStatus.LOST and self.beat_of(agent):
                    seen.alive.append(agent)
                continue
            if agent.status is AgentStatus.LOST:
                # Counted no more: one dead machine would else make a second storm look like the first.
                continue
            self._fell_silent[agent.id] = fell_silent.get(agent.id, now_ms - silence)
            if agent.status is AgentStatus.READY:
                seen.silent.append(agent)
            if self.ms_until_lost(agent) <= 0:
                seen.lost.append(agent)
        self._weather(seen, admitted)
        return seen

    def _weather(self, seen: Seen, admitted: int) -> None:
        """When many agents fall silent at once it is rather the network or Redis: rescue nothing for a while."""
        newest = max(self._fell_silent.values(), default=0)
        recent = [at for at in self._fell_silent.values() if newest - at <= self._lease_ms]
        if len(recent) > max(2, admitted / 5) and seen.lost and self._now_ms >= self._storm_until:
            if not self._storm_until:
                self._storm_until = self._now_ms + self._rules.storm_pause
                seen.storm = len(recent)
        elif len(recent) <= max(2, admitted / 5) and self._now_ms >= self._storm_until:
            self._storm_until = 0
        if self._now_ms < self._storm_until:
            seen.lost.clear()

    def ms_until_lost(self, agent: AgentData) -> int:
        """How long the kernels of this boot may still be alive."""
        return self._heard_ms(agent) + self.patience_ms(agent) - self._now_ms

    @property
    def now_ms(self) -> int:
        """Redis' time at the last look."""
        return self._now_ms

    def speaks(self, agent: AgentData) -> bool:
        """Whether this boot has beaten lately."""
        beat = self.beat_of(agent)
        return beat is not None and self._now_ms - beat.at_ms <= self._rules.not_ready_after

    def is_over(self, agent: AgentData) -> bool:
        """Whether this boot said goodbye, or counts as lost and is silent: nothing of it is waited for."""
        if agent.status is AgentStatus.LOST:
            # Silent is who was not heard for a while: its beats may not have been looked at yet.
            return self._now_ms - self._heard_ms(agent) > self._rules.not_ready_after
        return agent.status is AgentStatus.LEFT

    def patience_ms(self, agent: AgentData) -> int:
        """How long the kernels of a boot may live after its last beat."""
        return agent.lease_ms + agent.grace_ms + self._rules.margin

    def _heard_ms(self, agent: AgentData) -> int:
        beat = self.beat_of(agent)
        return max(min(beat.at_ms, self._now_ms) if beat else 0, agent.admitted_at, self._floor_ms)

    def beat_of(self, agent: AgentData) -> Beat | None:
        """The last beat of this boot that was looked at."""
        beat = self._beats.get(agent.id)
        return beat if beat and beat.boot == agent.boot else None

    def runs_something(self, agent: AgentData) -> bool:
        """Whether its beat names orders; where not, what was noted of others is forgotten."""
        beat = self.beat_of(agent)
        if beat and beat.running:
            return True
        self._strays.pop(agent.id, None)
        return False

    def missing(
        self, agent: AgentData, sessions: Iterable[PlacedSession]
    ) -> list[tuple[PlacedSession, PlacedKernel]]:
        """Kernels which two beats in a row do not name, claims newer than the beat left aside."""
        beat = self.beat_of(agent)
        if beat is None:
            self._misses.pop(agent.id, None)
            return []
        # Made anew with each look, so that what ended otherwise is forgotten.
        misses, self._misses[agent.id] = self._misses.get(agent.id, {}), {}
        running, found = frozenset(beat.running), []
        for session in sessions:
            for kernel in session.kernels:
                if kernel.agent != agent.id or kernel.state not in ("CLAIMED", "UP", "STOPPING"):
                    continue
                order = session.order(kernel.index)
                if order in running or kernel.claim > beat.claims:
                    continue
                count, at = misses.get(order, (0, 0))
                count += beat.at_ms > at
                if count >= 2:  # noqa: PLR2004 - architecture 8: two misses
                    found.append((session, kernel))
                else:
                    self._misses[agent.id][order] = (count, beat.at_ms)
        return found

    def strays(self, agent: AgentData, known: Iterable[PlacedSession]) -> list[str]:
        """Orders an agent runs in two looks apart though no placement knows them: a failover lost it."""
        beat = self.beat_of(agent)
        if beat is None or not beat.running:
            self._strays.pop(agent.id, None)
            return []
        strays, self._strays[agent.id] = self._strays.get(agent.id, {}), {}
        orders = {session.order(k.index) for session in known for k in session.kernels}
        found = []
        for order in beat.running:
            if order in orders or parse_order_id(order) is None:
                continue
            first = strays.get(order, beat.at_ms)
            # An end that was reported but not read yet looks the same for a moment.
            if beat.at_ms - first > 2 * self._rules.not_ready_after:
                found.append(order)
            else:
                self._strays[agent.id][order] = first
        return found
