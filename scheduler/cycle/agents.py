"""The agents of a group as the cycle sees them: integers in arrays, kept up to date by the leader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.agent_row import AgentRow
from scheduler.cycle.binding import bound
from scheduler.cycle.filters import Filters, missing
from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.constraints import Constraints
from scheduler.plugins.interfaces import Need

#: Changes remembered for selectors that keep a ranking; one that is further behind ranks anew.
_REMEMBERED = 65_536
_UNLIMITED = 2**31


class AgentTable:
    """Agents by index. An index stays an agent's own until the table is made anew."""

    def __init__(self) -> None:
        self.rows: list[AgentRow] = []
        self._index: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        #: What each agent could give, by the words of a request; rows of agents that take nothing are -1.
        self._room = np.full((0, 0), -1, dtype=np.int64)
        #: Rows that changed since. The arrays are asked when a ranking begins, once in thousands of
        #: placements; to write each change into them was a tenth of deciding, under the profiler.
        self._outdated: set[int] = set()
        self._changes: list[int] = []
        self._changes_from = 0
        self._shapes: list[dict[str, int]] | None = None
        self._capacity: dict[str, int] | None = None
        self._filters = Filters(self.rows)
        #: Whether an idle agent could hold a need, by its key; forgotten with the shapes.
        self._holdable: dict[tuple[object, ...], bool] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def index_of(self, agent: str) -> int | None:
        """The agent's index, or None."""
        return self._index.get(agent)

    def get(self, agent: str) -> AgentRow | None:
        """The agent's row, or None."""
        index = self._index.get(agent)
        return None if index is None else self.rows[index]

    def put(
        self, data: AgentData, kernels: int, endpoints: Mapping[str, int] | None = None
    ) -> None:
        """Add an agent, or replace what is known of it."""
        row = AgentRow(data, dict(data.free), kernels, slot_math.by_family(data.free))
        row.endpoints.update(endpoints or {})
        index = self._index.get(data.id)
        if index is None:
            index = self._index[data.id] = len(self.rows)
            self.rows.append(row)
        else:
            row.avoided = self.rows[index].avoided and self.rows[index].data.boot == data.boot
            row.look_again()
            self.rows[index] = row
        self._identify(index)

    def avoid(self, agent: str, *, avoided: bool) -> None:
        """Give an agent nothing new for a while, or give it work again."""
        index = self._index.get(agent)
        if index is not None:
            self.rows[index].avoided = avoided
            self.rows[index].look_again()
            self._touch(index)

    def drop(self, agent: str) -> None:
        """Forget an agent; its index stays unused."""
        index = self._index.pop(agent, None)
        if index is not None:
            gone = self.rows[index].data
            self.rows[index] = AgentRow(
                AgentData(
                    gone.id, gone.group, "", AgentStatus.LEFT, drained=True, capacity={}, free={}
                ),
                {},
            )
            self._identify(index)

    def _identify(self, index: int) -> None:
        """An agent came, went, or is another one than it was."""
        self._shapes = self._capacity = None
        self._holdable.clear()
        self._filters.update(index)
        self._touch(index)

    @contextmanager
    def hiding(self, indices: Iterable[int]) -> Iterator[None]:
        """Hide agents from selectors for a while: rankings follow two changes, and nothing is ranked anew."""
        hidden = [index for index in indices if self.rows[index].takes_work]
        self._hide(hidden, hidden=True)
        try:
            yield
        finally:
            self._hide(hidden, hidden=False)

    def _hide(self, indices: Sequence[int], *, hidden: bool) -> None:
        for index in indices:
            self.rows[index].hidden = hidden
            self.rows[index].look_again()
            self._touch(index)

    def take(self, agent: str, slots: Mapping[str, int], endpoint: str = "") -> None:
        """Reserve slots of one kernel in the snapshot."""
        self._change(agent, slots, -1, endpoint)

    def give(self, agent: str, slots: Mapping[str, int], endpoint: str = "") -> None:
        """Give slots of one kernel back in the snapshot."""
        self._change(agent, slots, 1, endpoint)

    def _change(self, agent: str, slots: Mapping[str, int], sign: int, endpoint: str) -> None:
        index = self._index.get(agent)
        if index is None:
            return
        row = self.rows[index]
        free, families, room = row.free, row.by_family, row.room
        for slot, amount in slots.items():
            left = free[slot] = free.get(slot, 0) + sign * amount
            family, dot, _ = slot.partition(".")
            families[family] = families.get(family, 0) + sign * amount
            if dot:
                room = None  # which share is the largest now is worked out when somebody asks
            elif room is not None:
                room[slot] = left
        row.kernels -= sign
        if endpoint:
            row.endpoints[endpoint] = row.endpoints.get(endpoint, 0) - sign
            if row.endpoints[endpoint] <= 0:
                del row.endpoints[endpoint]
        self._touch(index)
        row.room = room

    def fits(self, need: Need) -> Sequence[int]:
        """Indices of agents that take work and have room, in no special order."""
        self._refresh()
        if not need.slots.keys() <= self._columns.keys():
            return []
        columns = [self._columns[name] for name in need.slots]
        room = self._room[: len(self.rows), columns]
        mask = (room >= np.fromiter(need.slots.values(), dtype=np.int64)).all(axis=1)
        if need.filtered:
            mask &= self._filters.met(need.constraints) >= need.preferences
        found = np.flatnonzero(mask).tolist()
        # Several kernels may hinder each other, and devices of other models are counted as room.
        return found if need.counted else [index for index in found if self.has_room(index, need)]

    def wishes(self, need: Need) -> Sequence[Need]:
        """The need with as many of its wishes as any agent meets, with fewer, ... and with none."""
        if not need.constraints.prefers:
            return (need,)
        return [*map(need.preferring, self._filters.levels(need.constraints)), need]

    def has_room(self, index: int, need: Need) -> bool:
        """Whether one agent takes work and has room now, device by device."""
        row = self.rows[index]
        if not row.takes_work:
            return False
        most = row.data.max_kernels
        if most and row.kernels + len(need.kernels) > most:
            return False
        if need.filtered and self._filters.met(need.constraints)[index] < need.preferences:
            return False
        if not need.counted:
            return self.bind(index, need) is not None
        room = row.room or self._room_of(row)
        for name, amount in need.slots.items():  # noqa: SIM110 - a generator costs more than all it looks at
            if room.get(name, 0) < amount:
                return False
        return True

    def bind(self, index: int, need: Need) -> list[dict[str, int]] | None:
        """The device slots each kernel would get on one agent, or None where they do not all fit."""
        row = self.rows[index]
        return bound(row.free, row.data, need)

    def admitted(self, need: Need) -> NDArray[np.bool_]:
        """Which agents the constraints of a need admit, whatever is free of them."""
        return self._filters.met(need.constraints) >= 0

    def can_ever_hold(self, need: Need, count: int = 1) -> bool:
        """Whether so many of a need fit on the agents when idle, drained and silent ones included."""
        key = (*need.key, count)
        if key not in self._holdable:
            self._holdable[key] = self._fits_idle(need, count)
        return self._holdable[key]

    def _fits_idle(self, need: Need, count: int) -> bool:
        met = self._filters.met(need.constraints)
        for index in np.flatnonzero(met >= 0).tolist():
            data = self.rows[index].data
            free = dict(data.capacity)
            most = (data.max_kernels or sum(free.values())) // len(need.kernels)
            while count and most and (found := bound(free, data, need)):
                for slot, amount in ((s, a) for slots in found for s, a in slots.items()):
                    free[slot] -= amount
                count, most = count - 1, most - 1
            if not count:
                return True
        return False

    def room_for(self, need: Need, enough: int) -> int:
        """How many of a need fit now, at least where it says less than enough: never too few."""
        found = 0
        for index in self.fits(need):
            room = self._room_of(self.rows[index])
            # How many shares a device holds does not matter here: a bound above is cheap and enough.
            fitting = [
                room[name] // amount
                for name, amount in need.slots.items()
                if not name.endswith(".shares")
            ]
            found += min(fitting, default=enough)
            if found >= enough:
                break
        return found

    def lacks(self, need: Need) -> dict[str, int]:
        """How many agents lack what first: counted in arrays, as thousands may be asked."""
        self._refresh()
        found: dict[str, int] = {}
        room = self._room[: len(self.rows)]
        known = np.array([bool(row.data.boot) for row in self.rows], dtype=bool)
        if need.filtered:
            # First what nothing here can change: who is drained would not be of use undrained either.
            admitted = self._filters.met(need.constraints) >= 0
            for index in np.flatnonzero(known & ~admitted).tolist():
                why = missing(need.constraints, self.rows[index].data)
                found[why] = found.get(why, 0) + 1
            known &= admitted
        left = known & (room.max(axis=1, initial=-1) >= 0)
        for index in np.flatnonzero(known & ~left).tolist():
            why = self.rows[index].takes_nothing_because
            found[why] = found.get(why, 0) + 1
        # Accelerators first: what is scarce says more than what happens to be short there, too.
        for name, amount in sorted(need.slots.items(), key=lambda item: "." not in item[0]):
            column = self._columns.get(name)
            short = left if column is None else left & (room[:, column] < amount)
            if count := int(short.sum()):
                found[f"lack {name}"] = count
            left = left & ~short
        if count := int(left.sum()):
            found["lack room for all kernels together"] = count
        return found

    def excluded(self, constraints: Constraints) -> Counter[str]:
        """How many agents are excluded by what first, and how many are too small, idle as they may be."""
        known = (row.data for row in self.rows if row.data.boot)
        return Counter(missing(constraints, data) or "too small" for data in known)

    def free(self, index: int) -> Mapping[str, int]:
        """An agent's free device slots."""
        return self.rows[index].free

    def capacity(self, index: int) -> Mapping[str, int]:
        """An agent's device slots in total."""
        return self.rows[index].data.capacity

    def free_by_family(self, index: int) -> Mapping[str, int]:
        """An agent's free slots, devices summed by family."""
        return self.rows[index].by_family

    def agent_id(self, index: int) -> str:
        """An agent's id, by which ties are broken."""
        return self.rows[index].data.id

    def labels(self, index: int) -> Mapping[str, str]:
        """An agent's labels."""
        return self.rows[index].data.labels

    def models(self, index: int) -> Mapping[str, str]:
        """The models of an agent's devices, by family, or by device slot where they differ."""
        return self.rows[index].data.models

    def kernels_left(self, index: int) -> int:
        """How many more kernels an agent takes, whatever they ask; 0 where it takes no work."""
        row = self.rows[index]
        if not row.takes_work:
            return 0
        return max(0, row.data.max_kernels - row.kernels) if row.data.max_kernels else _UNLIMITED

    def kernels_of_endpoint(self, index: int, endpoint: str) -> int:
        """How many kernels of a service an agent runs."""
        return self.rows[index].endpoints.get(endpoint, 0)

    @property
    def version(self) -> int:
        """Counts changes."""
        return self._changes_from + len(self._changes)

    def changed_since(self, version: int) -> Sequence[int] | None:
        """Indices that changed since a version, or None when that is too long ago to know."""
        return (
            None if version < self._changes_from else self._changes[version - self._changes_from :]
        )

    @property
    def total_capacity(self) -> Mapping[str, int]:
        """Slots of all agents by family, of silent and drained ones too: what shares are of."""
        if self._capacity is None:
            summed: Counter[str] = Counter()
            for capacity, count in self._capacities().items():
                for family, amount in slot_math.by_family(dict(capacity)).items():
                    summed[family] += count * amount
            self._capacity = dict(summed)
        return self._capacity

    def shapes(self) -> list[dict[str, int]]:
        """The largest idle agents, drained and silent ones included: what submits are measured against."""
        # Kept: every refusal asks, and only a new or removed agent changes it.
        if self._shapes is None:
            capacities = (dict(capacity) for capacity in self._capacities() if capacity)
            self._shapes = slot_math.pareto(map(slot_math.shape_of_free, capacities))
        return self._shapes

    def _capacities(self) -> Counter[tuple[tuple[str, int], ...]]:
        """How many agents have the same slots: thousands of machines are of a few kinds."""
        return Counter(tuple(row.data.capacity.items()) for row in self.rows)

    def _touch(self, index: int) -> None:
        self.rows[index].room = None
        self._outdated.add(index)
        self._changes.append(index)
        if len(self._changes) > _REMEMBERED:
            del self._changes[: _REMEMBERED // 2]
            self._changes_from += _REMEMBERED // 2

    def _room_of(self, row: AgentRow) -> dict[str, int]:
        if row.room is None:
            row.room = slot_math.shape_of_free(row.free)
        return row.room

    def _refresh(self) -> None:
        """Write what changed into the arrays."""
        if self._outdated and len(self.rows) > self._room.shape[0]:
            self._grow(rows=max(64, 2 * len(self.rows)))
        for index in self._outdated:
            row = self.rows[index]
            self._room[index, :] = -1
            if not row.takes_work or row.full_of_kernels:
                continue
            for name, amount in self._room_of(row).items():
                if name not in self._columns:
                    self._columns[name] = len(self._columns)
                    self._grow(columns=len(self._columns))
                self._room[index, self._columns[name]] = amount
        self._outdated.clear()

    def _grow(self, *, rows: int = 0, columns: int = 0) -> None:
        old = self._room
        self._room = np.full(
            (max(rows, old.shape[0]), max(columns, old.shape[1])), -1, dtype=np.int64
        )
        self._room[: old.shape[0], : old.shape[1]] = old
