"""After Redis was restarted or another took its place: nothing is placed until it is known what runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scheduler.domain.agent import AgentData, AgentStatus, Beat
from scheduler.intake.board import Board
from scheduler.leader.watch import Watch


class Settling:
    """One hold of placing.

    It ends when every known agent has beaten on this Redis and names no kernel of a placement that
    was lost; an agent that stays silent is waited for as long as its kernels may live. Where writes
    may be lost there may also be agents which no record knows any more: they end their kernels with
    the first beat that tells them so, and ``at_least_ms`` is the time that takes.
    """

    def __init__(self, now_ms: int, before: Mapping[str, Beat], at_least_ms: int) -> None:
        # Not "newer than now": the clocks of two servers differ, and the beats of the old one are kept.
        self._before = {agent: beat.at_ms for agent, beat in before.items()}
        self._since_ms = now_ms
        self._at_least_ms = at_least_ms
        self._told: set[str] = set()

    def over(self, agents: Iterable[AgentData], watch: Watch, board: Board, now_ms: int) -> bool:
        """Whether placing may go on."""
        passed = now_ms - self._since_ms
        if passed < self._at_least_ms:
            return False
        for agent in agents:
            if self._certainly_dead(agent, watch):
                continue
            beat = self._beat(agent, watch)
            # Whoever beats for so long and cannot end a kernel must not hold up all others.
            if beat is None or (self.unknown(beat, board) and passed < watch.patience_ms(agent)):
                return False
        return True

    def to_kill(
        self, agents: Iterable[AgentData], watch: Watch, board: Board
    ) -> Iterator[tuple[AgentData, str]]:
        """Orders that agents run though no placement knows them; each is told once."""
        for agent in agents:
            beat = self._beat(agent, watch)
            for order in self.unknown(beat, board) if beat else ():
                if order not in self._told:
                    self._told.add(order)
                    yield agent, order

    def heard(self, agents: Iterable[AgentData], watch: Watch) -> list[Beat]:
        """The beats that came on this Redis."""
        return [beat for agent in agents if (beat := self._beat(agent, watch))]

    @staticmethod
    def _certainly_dead(agent: AgentData, watch: Watch) -> bool:
        if not agent.boot or agent.status is AgentStatus.LEFT:
            return True
        # Beats are kept for four leases: who was lost before has none any more.
        lost_before = agent.status is AgentStatus.LOST and watch.beat_of(agent) is None
        return lost_before or watch.ms_until_lost(agent) <= 0

    def _beat(self, agent: AgentData, watch: Watch) -> Beat | None:
        """Its last beat, if that was on this Redis."""
        beat = watch.beat_of(agent)
        return None if beat is None or beat.at_ms == self._before.get(agent.id) else beat

    @staticmethod
    def unknown(beat: Beat, board: Board) -> list[str]:
        """Orders of a beat that no placement of the board knows."""
        return [order for order in beat.running if not board.knows(order)]
