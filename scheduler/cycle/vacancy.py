"""Whether promises can be kept: what is free of an agent while one of them would be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from scheduler.cycle.agent_row import AgentRow
from scheduler.cycle.agents import AgentTable
from scheduler.cycle.binding import bound
from scheduler.cycle.plan import Placement
from scheduler.cycle.promise import Hold, Promise
from scheduler.cycle.releases import STUCK_MS, Releases
from scheduler.cycle.timeline import KERNELS, UNLIMITED

Ends = tuple[int, Mapping[str, int]]  #: until when at the latest, and what is free again then


class Vacancy:
    """The promises by agent, beside what runs there."""

    def __init__(self, agents: AgentTable, releases: Releases) -> None:
        self._agents = agents
        self._releases = releases
        self._on: dict[str, list[Promise]] = {}
        self.now_ms = 0

    def add(self, promise: Promise) -> None:
        """Room is promised."""
        for agent in promise.agents:
            self._on.setdefault(agent, []).append(promise)

    def remove(self, promise: Promise) -> None:
        """It is promised no more."""
        for agent in promise.agents:
            there = [other for other in self._on.get(agent, ()) if other is not promise]
            if there:
                self._on[agent] = there
            else:
                self._on.pop(agent, None)

    def promises_on(self, agent: str) -> Sequence[Promise]:
        """The promises that hold something of an agent."""
        return self._on.get(agent, ())

    def holds(self, promise: Promise, among: Sequence[Promise]) -> bool:
        """Whether a promise can be kept beside others, on other devices if need be."""
        for number, hold in enumerate(promise.holds):
            row = self._agents.get(hold.agent)
            if row is None or not row.takes_work:
                return False
            kept = self._bound(promise, hold, among)
            if kept is None:
                return False
            promise.holds[number] = kept
        return True

    def crowded(self, placement: Placement, respected: Sequence[Promise], ends_ms: int) -> set[str]:
        """Agents on which a placement that was just taken would delay one of these promises.

        Promises that can be kept on other devices are moved to them, if all can be kept.
        """
        if not respected:
            return set()
        found: set[str] = set()
        moved: list[tuple[Promise, int, Hold]] = []
        for agent in dict.fromkeys(b.agent for b in placement.bindings if b.agent in self._on):
            mine = [(ends_ms, b.slots) for b in placement.bindings if b.agent == agent]
            for promise, number in self._touched(agent, respected, ends_ms):
                hold = promise.holds[number]
                kept = self._bound(promise, hold, respected, mine)
                if kept is None:
                    found.add(agent)
                elif kept is not hold:
                    moved.append((promise, number, hold))
                    promise.holds[number] = kept
        if found:
            for promise, number, hold in reversed(moved):
                promise.holds[number] = hold
        return found

    def _touched(
        self, agent: str, respected: Sequence[Promise], ends_ms: int
    ) -> Iterator[tuple[Promise, int]]:
        """The holds on an agent that whoever is there until then is there with."""
        for promise in self._on[agent]:
            if promise in respected and promise.at_ms < ends_ms:
                for number, hold in enumerate(promise.holds):
                    if hold.agent == agent:
                        yield promise, number

    def bound_now(self, hold: Hold) -> Sequence[dict[str, int]] | None:
        """The device slots its kernels get if they start now; None where there is no room for them."""
        index = self._agents.index_of(hold.agent)
        if index is None or not self._agents.has_room(index, hold.need):
            return None
        free = self._agents.free(index)
        if all(free.get(slot, 0) >= amount for slot, amount in hold.total.items()):
            return hold.slots
        return self._agents.bind(index, hold.need)

    def _bound(
        self,
        promise: Promise,
        hold: Hold,
        among: Sequence[Promise],
        more: Iterable[Ends] = (),
    ) -> Hold | None:
        """A hold as it can be kept: as it is, on other devices, or not at all."""
        index = self._agents.index_of(hold.agent)
        if index is None:
            return None
        row = self._agents.rows[index]
        free = self._least_free(promise, row, among, [*self._releases.on(hold.agent), *more])
        if free.pop(KERNELS) < len(hold.kernels):
            return None
        if all(free.get(slot, 0) >= amount for slot, amount in hold.total.items()):
            return hold
        slots = bound(free, row.data, hold.need)
        return None if slots is None else hold.bound(tuple(slots))

    def _least_free(
        self, promise: Promise, row: AgentRow, among: Sequence[Promise], gone: Sequence[Ends]
    ) -> dict[str, int]:
        """What is free of an agent all the while a promise is there, without the promise itself."""
        there = [p for p in self._on.get(row.data.id, ()) if p is not promise and p in among]
        # It grows as others end, and shrinks only when another promise begins.
        times = {promise.at_ms}.union(
            other.at_ms for other in there if promise.at_ms < other.at_ms < promise.ends_ms
        )
        looks = [self._free_at(max(time, self.now_ms), row, there, gone) for time in times]
        names = {name for free in looks for name in free}
        return {name: min(free.get(name, 0) for free in looks) for name in names}

    def _free_at(
        self, at_ms: int, row: AgentRow, there: Sequence[Promise], gone: Sequence[Ends]
    ) -> dict[str, int]:
        most = row.data.max_kernels
        free = {**row.free, KERNELS: most - row.kernels if most else UNLIMITED}
        for ends, slots in gone:
            if self.now_ms - STUCK_MS <= ends <= at_ms:
                free[KERNELS] += 1
                for slot, amount in slots.items():
                    free[slot] = free.get(slot, 0) + amount
        for other in there:
            if other.at_ms <= at_ms < other.ends_ms:
                for hold in other.holds:
                    if hold.agent == row.data.id:
                        free[KERNELS] -= len(hold.kernels)
                        for slot, amount in hold.total.items():
                            free[slot] = free.get(slot, 0) - amount
        return free
