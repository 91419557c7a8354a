"""When a session that finds no room now could start at the latest, and where: by the deadlines of what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.placing import alike, place
from scheduler.cycle.plan import Placement
from scheduler.cycle.releases import STUCK_MS, Kernel, Releases
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.timeline import Ahead, Timeline
from scheduler.cycle.waiting import WaitingSession
from scheduler.plugins.interfaces import AbstractClusterMode, Need

#: Times that are tried in earnest, once the sums say that there might be room.
TRIED = 16
#: Rows in front of the position at which the sums are looked at first; twice as many each time after.
_FIRST_STEP = 64

#: What is counted as taken from now until then: (ms, kernels).
Taken = tuple[int, Sequence[Kernel]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A session that found no room, what it asks of agents, and the mode that places it."""

    session: WaitingSession
    needs: Sequence[Need]
    mode: AbstractClusterMode


class Foresight:
    """Looks ahead over one table of agents."""

    def __init__(self) -> None:
        self._timeline = Timeline()
        self.tried = 0  #: placements that the last look tried; none where the sums say never

    def earliest(
        self, asked: Asked, now_ms: int, where: tuple[AgentTable, Releases], taken: Iterable[Taken]
    ) -> tuple[int, Placement] | None:
        """The first time (ms) at which all its kernels fit, if all that runs ended at its deadline.

        With the placement it would get then. None where no agents that take work would ever hold it,
        or none of the times that were tried is one.
        """
        agents, releases = where
        self._timeline.follow(agents, releases)
        held = list(taken)
        search = _Search(asked, self._timeline.ahead(now_ms, held), agents, releases, held)
        found = search.run()
        self.tried = search.tried
        return found


class _Search:
    """One look ahead."""

    def __init__(
        self,
        asked: Asked,
        ahead: Ahead,
        agents: AgentTable,
        releases: Releases,
        taken: Sequence[Taken],
    ) -> None:
        self._asked = asked
        self._ahead = ahead
        self._agents = agents
        self._releases = releases
        self._taken: dict[str, list[tuple[int, Mapping[str, int]]]] = {}
        for ends, kernels in taken:
            for kernel in kernels:
                self._taken.setdefault(kernel.agent, []).append((ends, kernel.slots))
        self._needs = [(need, count, agents.admitted(need)) for need, count in alike(asked.needs)]
        self.tried = 0

    def run(self) -> tuple[int, Placement] | None:
        """The first position at which the sums suffice, then the first from there at which it is placed."""
        last = len(self._ahead.rows)
        position = self._first_enough(last)
        if position is None:
            return None
        failed, step = position - 1, 1
        found = self._try(position)
        while found is None and position < last and self.tried < TRIED:
            failed, position = position, self._ahead.behind(min(last, position + step))
            step *= 4
            found = self._try(position)
        if found is None:
            return None
        # It fits here and did not at `failed`: between them may be an earlier time.
        while failed + 1 < position and self.tried < TRIED:
            middle = self._ahead.behind((failed + 1 + position) // 2)
            if middle >= position:
                middle = self._ahead.behind(failed + 1)
            if middle >= position:
                break
            better = self._try(middle)
            if better is None:
                failed = middle
            else:
                position, found = middle, better
        return self._ahead.at_ms(position), found

    def _first_enough(self, last: int) -> int | None:
        """By the sums alone, which are quick to look at and never too small."""
        first = failed = self._ahead.first
        if not self._enough(last):
            return None
        if self._enough(first):
            return first
        step, position = _FIRST_STEP, min(last, first + _FIRST_STEP)
        while not self._enough(position):
            step *= 2
            failed, position = position, min(last, position + step)
        while failed + 1 < position:
            middle = (failed + position) // 2
            if self._enough(middle):
                position = middle
            else:
                failed = middle
        return self._ahead.behind(position)

    def _enough(self, position: int) -> bool:
        return all(
            np.minimum(self._ahead.room(need, admitted, position), count).sum() >= count
            for need, count, admitted in self._needs
        )

    def _try(self, position: int) -> Placement | None:
        """Place it on the agents as they would be then."""
        self.tried += 1
        some = np.zeros(len(self._agents), dtype=np.bool_)
        for need, _, admitted in self._needs:
            some |= self._ahead.room(need, admitted, position) >= 1
        then = AgentTable()
        for index in np.flatnonzero(some).tolist():
            self._put(then, index, self._ahead.at_ms(position))
        # Which agents the group's selector would prefer is asked when it is placed; one that keeps
        # books must not count what was only looked at.
        how = (self._asked.mode, ConcentratedAgentSelector({}))
        return place(self._asked.session, self._asked.needs, then, how)

    def _put(self, then: AgentTable, index: int, at_ms: int) -> None:
        row = self._agents.rows[index]
        free, kernels = dict(row.free), row.kernels
        for ends, slots in self._releases.on(row.data.id):
            if self._ahead.now_ms - STUCK_MS <= ends <= max(at_ms, self._ahead.now_ms):
                kernels -= 1
                for slot, amount in slots.items():
                    free[slot] = free.get(slot, 0) + amount
        for ends, slots in self._taken.get(row.data.id, ()):
            if ends > at_ms:
                kernels += 1
                for slot, amount in slots.items():
                    free[slot] = free.get(slot, 0) - amount
        then.put(replace(row.data, free=free), kernels)
