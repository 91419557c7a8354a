"""Agents that count as lost and beat all the same: they live, and so may kernels that nobody knows any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.domain.agent import AgentData
from scheduler.intake.board import Board
from scheduler.leader.settling import Settling
from scheduler.leader.watch import Watch

#: Beats in a row that must name no unknown kernel. The first may be older than the loss, and the
#: second composed before an order was claimed that the loss found claimed already.
_CLEAN_BEATS = 3


@dataclass(frozen=True, slots=True)
class _Clean:
    boot: str
    at_ms: int
    beats: int


class Returning:
    """Whose slots are free again, and what must be stopped before."""

    def __init__(self) -> None:
        self._clean: dict[str, _Clean] = {}
        self._told: set[tuple[str, str]] = set()

    def look(
        self, lost: Iterable[AgentData], watch: Watch, board: Board
    ) -> tuple[list[AgentData], list[tuple[AgentData, str]]]:
        """Of the lost agents that beat, those that may work again; and the orders to stop, each once."""
        before, self._clean = self._clean, {}
        told, self._told = self._told, set()
        back, stop = [], []
        for agent in lost:
            beat = watch.beat_of(agent)
            if beat is None:
                continue
            for order in Settling.unknown(beat, board):
                self._told.add((agent.id, order))
                if (agent.id, order) not in told:
                    stop.append((agent, order))
            if Settling.unknown(beat, board):
                continue
            clean = before.get(agent.id)
            if clean is None or clean.boot != agent.boot:
                clean = _Clean(agent.boot, 0, 0)
            beats = clean.beats + (beat.at_ms > clean.at_ms)
            if beats >= _CLEAN_BEATS:
                back.append(agent)
            else:
                self._clean[agent.id] = _Clean(agent.boot, beat.at_ms, beats)
        return back, stop
