"""What the agents could give at times to come: arrays of what is free and of what ends when.

A placement that ends is a row. Rows are kept in the order of their ends, so what is free at a time is
what is free now and the rows in front of a position; to look costs what stands in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.releases import STUCK_MS, Held, Kernel, Releases
from scheduler.domain.slots import DEVICE
from scheduler.plugins.interfaces import Need

#: Kernels an agent still takes, kept like a slot of which every kernel holds one.
KERNELS = "#"
UNLIMITED = 2**31
#: Numbers of sessions that are gone, above which they are given anew.
_HOLES = 32_768

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class _Rows:
    """One kernel each, in the order of their ends. Amounts are exact in floats, below 2**53."""

    ends: Ints
    agent: Ints
    owner: Ints
    amount: Floats  #: by column, by row

    @classmethod
    def none(cls) -> _Rows:
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, empty, np.zeros((1, 0)))

    def __len__(self) -> int:
        return len(self.ends)

    def and_also(self, more: _Rows, alive: NDArray[np.bool_] | None = None) -> _Rows:
        """With others, in order, and without owners that are not alive."""
        columns = max(len(self.amount), len(more.amount))
        amount = np.zeros((columns, len(self) + len(more)))
        amount[: len(self.amount), : len(self)] = self.amount
        amount[: len(more.amount), len(self) :] = more.amount
        ends = np.concatenate([self.ends, more.ends])
        owner = np.concatenate([self.owner, more.owner])
        # What is there is in order: the sort is stable and takes little more than one look.
        order = np.argsort(ends, kind="stable")
        if alive is not None:
            order = order[alive[owner[order]]]
        agent = np.concatenate([self.agent, more.agent])
        return _Rows(ends[order], agent[order], owner[order], amount[:, order])


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is free at each of the ends, counted from now on."""

    now_ms: int
    free: Floats  #: by agent, by column
    takes: NDArray[np.bool_]
    columns: dict[str, int]
    rows: _Rows
    ended: dict[int, Floats] = field(default_factory=dict)  #: when all is over, by column

    @property
    def first(self) -> int:
        """The position before which all should be over by now, whoever is still there."""
        return int(np.searchsorted(self.rows.ends, self.now_ms, "right"))

    def behind(self, position: int) -> int:
        """The position behind all that end when the row before this one does."""
        if position <= self.first:
            return self.first
        return int(np.searchsorted(self.rows.ends, self.rows.ends[position - 1], "right"))

    def at_ms(self, position: int) -> int:
        """When all before a position are over."""
        return self.now_ms if position <= self.first else int(self.rows.ends[position - 1])

    def room(self, need: Need, admitted: NDArray[np.bool_], position: int) -> Floats:
        """How many of a need each agent could take then, or more: never too few."""
        found: Floats = np.full(len(self.free), float(UNLIMITED))
        if self.free[:, 0].min(initial=UNLIMITED) < UNLIMITED:
            found = self._at(KERNELS, position) // len(need.kernels)
        for name, amount in need.slots.items():
            family, dot, kind = name.partition(".")
            if not dot:
                found = np.minimum(found, self._at(name, position) // amount)
                continue
            least, wanted = (amount, 1) if kind == "shares" else (DEVICE, amount)
            count: Floats = np.zeros(len(self.free))
            for device in (c for c in self.columns if c.startswith(f"{family}.")):
                count += self._at(device, position) // least
            found = np.minimum(found, count // wanted)
        return np.where(self.takes & admitted, np.maximum(found, 0.0), 0.0)

    def _at(self, column: str, position: int) -> Floats:
        index = self.columns.get(column)
        if index is None:
            return np.zeros(len(self.free))
        if position == len(self.rows):
            # Asked first by everybody: those who never fit are many, where agents are drained.
            if index not in self.ended:
                self.ended[index] = self._then(index, position)
            return self.ended[index]
        return self._then(index, position)

    def _then(self, index: int, position: int) -> Floats:
        stuck = int(np.searchsorted(self.rows.ends, self.now_ms - STUCK_MS, "left"))
        gone = slice(stuck, max(stuck, position))
        if index >= len(self.rows.amount):
            return self.free[:, index]
        weights = self.rows.amount[index, gone]
        freed = np.bincount(self.rows.agent[gone], weights=weights, minlength=len(self.free))
        return self.free[:, index] + np.asarray(freed, dtype=np.float64)


class Timeline:
    """Follows a table of agents and the releases on them; what did not change is not looked at again."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {KERNELS: 0}
        self._rows = _Rows.none()
        self._owners: dict[str, int] = {}
        self._next_owner = 0
        self._free = np.zeros((0, 1))
        self._takes = np.zeros(0, dtype=np.bool_)
        self._version = -1
        self._ended: tuple[int, dict[int, Floats]] = (0, {})
        self._index_of: Callable[[str], int | None] = lambda _: None

    def follow(self, agents: AgentTable, releases: Releases) -> None:
        """Take in what changed since the last time. Nothing may be hidden in the table."""
        self._index_of = agents.index_of
        changed = releases.take_changed()
        if changed != set() or self._version != agents.version:
            self._ended = (0, {})
        self._follow_agents(agents)
        if changed is None:
            self._rows, self._owners, self._next_owner = _Rows.none(), {}, 0
            self._add(releases.sessions())
        elif changed:
            gone = [self._owners.pop(session) for session in changed if session in self._owners]
            known = ((session, releases.get(session)) for session in changed)
            self._add(((session, held) for session, held in known if held), gone)

    def ahead(self, now_ms: int, taken: Iterable[tuple[int, Sequence[Kernel]]] = ()) -> Ahead:
        """From now on; ``taken`` is counted as taken now, each until its time (ms)."""
        more = self._made([("", Held(ends, tuple(kernels))) for ends, kernels in taken])
        if not len(more):
            if self._ended[0] != now_ms:
                self._ended = (now_ms, {})
            ended = self._ended[1]
            return Ahead(now_ms, self._free, self._takes, self._columns, self._rows, ended)
        free = self._free.copy()
        for column, amounts in enumerate(more.amount):
            np.subtract.at(free[:, column], more.agent, amounts)
        return Ahead(now_ms, free, self._takes, self._columns, self._rows.and_also(more))

    def _follow_agents(self, agents: AgentTable) -> None:
        changed = agents.changed_since(self._version)
        if changed is None or self._version < 0:
            changed = range(len(agents.rows))
        for name in {name for index in set(changed) for name in agents.rows[index].free}:
            self._columns.setdefault(name, len(self._columns))
        shape = (len(agents.rows), len(self._columns))
        if self._free.shape != shape:
            free, takes = np.zeros(shape), np.zeros(shape[0], dtype=np.bool_)
            free[: self._free.shape[0], : self._free.shape[1]] = self._free
            takes[: len(self._takes)] = self._takes
            self._free, self._takes = free, takes
        for index in set(changed):
            row = agents.rows[index]
            self._takes[index] = row.takes_work
            self._free[index] = 0
            for name, amount in row.free.items():
                self._free[index, self._columns[name]] = amount
            most = row.data.max_kernels
            self._free[index, 0] = most - row.kernels if most else UNLIMITED
        self._version = agents.version

    def _add(self, held: Iterable[tuple[str, Held]], gone: Sequence[int] = ()) -> None:
        more = self._made(held)
        alive = np.ones(self._next_owner, dtype=np.bool_)
        alive[list(gone)] = False
        self._rows = self._rows.and_also(more, alive)
        if self._next_owner > 4 * len(self._rows) + _HOLES:
            self._number_anew()

    def _number_anew(self) -> None:
        """Numbers of sessions that are gone leave holes, which cost as much as rows."""
        names = {owner: session for session, owner in self._owners.items()}
        old, self._rows.owner = np.unique(self._rows.owner, return_inverse=True)
        self._owners = {names[int(owner)]: new for new, owner in enumerate(old)}
        self._next_owner = len(old)

    def _made(self, held: Iterable[tuple[str, Held]]) -> _Rows:
        """Rows of what is held on agents that are known, in any order."""
        ends: list[int] = []
        agent: list[int] = []
        owner: list[int] = []
        slots: dict[int, tuple[list[int], list[int]]] = {}
        for session, one in held:
            if session:
                self._owners[session] = self._next_owner
                self._next_owner += 1
            for kernel in one.kernels:
                index = self._index_of(kernel.agent)
                if index is None:
                    continue
                for name, amount in kernel.slots.items():
                    column = self._columns.setdefault(name, len(self._columns))
                    at, much = slots.setdefault(column, ([], []))
                    at.append(len(ends))
                    much.append(amount)
                ends.append(one.ends_ms)
                agent.append(index)
                owner.append(self._next_owner - 1)
        if len(self._columns) > self._free.shape[1]:
            wider = np.zeros((len(self._free), len(self._columns)))
            wider[:, : self._free.shape[1]] = self._free
            self._free = wider
        amounts = np.zeros((len(self._columns), len(ends)))
        amounts[0] = 1
        for column, (at, much) in slots.items():
            amounts[column, at] = much
        return _Rows(
            np.array(ends, dtype=np.int64),
            np.array(agent, dtype=np.int64),
            np.array(owner, dtype=np.int64),
            amounts,
        )
