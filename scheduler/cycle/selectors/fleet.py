"""The agents of a view as arrays, for selectors that look at many of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.domain.slots import DEVICE
from scheduler.plugins.interfaces import AgentView

Ints = NDArray[np.int64]

_FIRST_ROWS: Final = 64
_FIRST_DEVICES: Final = 8


class Fleet:
    """Free slots of all agents. Devices of one family and model are a pool; pools have numbers."""

    def __init__(self) -> None:
        self.pools: list[tuple[str, str]] = []
        self.names: list[tuple[str, ...]] = []  #: device slots of each agent, by their column
        self.cpu = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.plain: dict[str, Ints] = {}  #: slots without devices, by name
        self.kernels = np.zeros(_FIRST_ROWS, dtype=np.int64)  #: how many more it takes
        self.free = np.zeros((_FIRST_ROWS, _FIRST_DEVICES), dtype=np.int64)
        self.pool = np.zeros((_FIRST_ROWS, _FIRST_DEVICES), dtype=np.int64)
        self.whole = np.zeros((_FIRST_ROWS, 1), dtype=np.int64)  #: idle devices by pool
        self.id_rank = np.zeros(_FIRST_ROWS, dtype=np.int64)  #: the place of its id among all ids
        self.stamp = np.zeros(_FIRST_ROWS, dtype=np.int64)  #: when it changed last
        self.now = 0
        self.layout = 0  #: counts changes of pools and of who has which devices
        self._capacities: list[Mapping[str, int]] = []
        self._version = -1

    def __len__(self) -> int:
        return len(self.names)

    def follow(self, view: AgentView) -> None:
        """Read what changed in the view since the last time."""
        if view.version == self._version:
            return
        changed = view.changed_since(self._version)
        known = len(self)
        indices = set(range(len(view)) if changed is None else changed) | {*range(known, len(view))}
        self._version = view.version
        self.now += 1
        if len(view) > known:
            self._grow(view)
        for index in sorted(indices):
            self._read(view, index)

    def _grow(self, view: AgentView) -> None:
        known, wanted = len(self), len(view)
        self.names += [()] * (wanted - known)
        self._capacities += [{}] * (wanted - known)
        if wanted > len(self.cpu):
            rows = 2 * wanted
            for name in ("cpu", "kernels", "free", "pool", "whole", "id_rank", "stamp"):
                setattr(self, name, _larger(getattr(self, name), rows))
            self.plain = {name: _larger(column, rows) for name, column in self.plain.items()}
        ranked = sorted(range(wanted), key=lambda index: (view.agent_id(index), index))
        self.id_rank[ranked] = np.arange(wanted)

    def _read(self, view: AgentView, index: int) -> None:
        capacity = view.capacity(index)
        # An agent's record is replaced, never changed: the same object means the same devices.
        if capacity is not self._capacities[index]:
            self._lay_out(view, index, capacity)
        free, names = view.free(index), self.names[index]
        self.cpu[index] = free.get("cpu", 0)
        for name, column in self.plain.items():
            column[index] = free.get(name, 0)
        self.kernels[index] = view.kernels_left(index)
        self.stamp[index] = self.now
        if names:
            room = self.free[index]
            room[: len(names)] = [free.get(name, 0) for name in names]
            idle = self.pool[index][room >= DEVICE]
            self.whole[index] = np.bincount(idle, minlength=self.whole.shape[1])

    def _lay_out(self, view: AgentView, index: int, capacity: Mapping[str, int]) -> None:
        self._capacities[index] = capacity
        self.layout += 1
        for name in capacity:
            if "." not in name and name not in self.plain:
                self.plain[name] = np.zeros(len(self.cpu), dtype=np.int64)
        split = [(name.partition(".")[0], name) for name in capacity if "." in name]
        names = sorted(split, key=lambda pair: (pair[0], int(pair[1].rpartition(".")[2])))
        self.names[index] = tuple(name for _, name in names)
        if len(names) > self.free.shape[1]:
            self.free, self.pool = (_wider(a, len(names)) for a in (self.free, self.pool))
        models = view.models(index)
        numbers = [
            self._pool(family, models.get(n) or models.get(family, "")) for family, n in names
        ]
        self.free[index], self.pool[index], self.whole[index] = 0, 0, 0
        self.pool[index][: len(numbers)] = numbers

    def _pool(self, family: str, model: str) -> int:
        if (family, model) not in self.pools:
            self.pools.append((family, model))
            if len(self.pools) > self.whole.shape[1]:
                self.whole = _wider(self.whole, 2 * len(self.pools))
        return self.pools.index((family, model))

    def devices(self) -> Ints:
        """How many devices there are of each pool."""
        counted = np.zeros(len(self.pools), dtype=np.int64)
        for index, names in enumerate(self.names):
            if names:
                counted += np.bincount(self.pool[index][: len(names)], minlength=len(counted))
        return counted


def _larger(array: Ints, rows: int) -> Ints:
    made = np.zeros((rows, *array.shape[1:]), dtype=np.int64)
    made[: len(array)] = array
    return made


def _wider(array: Ints, columns: int) -> Ints:
    made = np.zeros((array.shape[0], columns), dtype=np.int64)
    made[:, : array.shape[1]] = array
    return made
