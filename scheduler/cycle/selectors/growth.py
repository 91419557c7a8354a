"""What a placement costs: growth of fragmentation, of cpu shortage, and use of models others must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.selectors.arrivals import Kind
from scheduler.cycle.selectors.asked import Asked, Bools
from scheduler.cycle.selectors.fleet import Fleet, Ints
from scheduler.cycle.selectors.usable import UsableTable, cpu_per_device, pressures
from scheduler.domain.slots import DEVICE

Floats = NDArray[np.float64]

#: Costs are rounded to this part of a milli accelerator, so that equal agents stay equal.
_PARTS: Final = 1024
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts."""

    cpu_shortage: float
    cpu_reserve: float
    model_pressure: float


class Growth:
    """Costs under what was learned so far, in milli accelerators times ``_PARTS``."""

    def __init__(self, fleet: Fleet, counts: Mapping[Kind, int], weights: Weights) -> None:
        self._fleet = fleet
        self._table = UsableTable(counts, fleet.pools)
        self._scale = 1 / self._table.weight if self._table.weight else 0.0
        per_device = cpu_per_device(counts) * weights.cpu_reserve
        self._devices_per_cpu = 1 / per_device if per_device else 0.0
        self._shortage_weight = weights.cpu_shortage if per_device else 0.0
        if fleet.pools:
            self._pressure = weights.model_pressure * pressures(
                counts, fleet.pools, fleet.devices()
            )
        else:
            self._pressure = np.zeros(1)
        self._pools = np.arange(len(fleet.pools))

    def costs(self, asked: Asked, rows: Ints, accepted: Bools) -> tuple[Ints, Ints]:
        """What it costs to place there, for agents that have room; and the best device for a share."""
        if not asked.count:
            return self._of_plain(asked, rows), np.zeros(len(rows), dtype=np.int64)
        if asked.is_share:
            return self._of_share(asked, rows, accepted)
        return self._of_devices(asked, rows, accepted), np.zeros(len(rows), dtype=np.int64)

    def cost_of(self, index: int, bound: Sequence[Mapping[str, int]]) -> int:
        """What one agent costs that gives these slots, to kernels together."""
        fleet, rows = self._fleet, np.array([index])
        names, free = fleet.names[index], fleet.free[rows].copy()
        taken: dict[str, int] = {}
        for slots in bound:
            for name, amount in slots.items():
                taken[name] = taken.get(name, 0) + amount
        pressed = 0.0
        for name, amount in taken.items():
            if name in names:
                column = names.index(name)
                free[0, column] -= amount
                pressed += float(self._pressure[fleet.pool[index, column]]) * amount
        cpu = taken.get("cpu", 0)
        milli = np.array([int(fleet.free[index].sum() - free.sum())])
        lost = self._lost(rows, cpu, free)
        found = lost * self._scale + self._shortage(rows, cpu, milli) + pressed
        return int(_rounded(found)[0])

    def _usable(self, rows: Ints, cpu: int, free: Ints, whole: Ints) -> Ints:
        """Usable milli, times the weight of all kinds, with so much cpu less and these free devices."""
        if not self._pools.size:
            return np.zeros(len(rows), dtype=np.int64)
        level = self._level(rows, cpu)[:, None]
        one: Ints = self._table.one[self._fleet.pool[rows], level, free].sum(axis=1)
        several: Ints = self._table.several[self._pools, level, whole].sum(axis=1)
        return one + several

    def _lost_by_cpu(self, rows: Ints, cpu: int) -> Ints:
        """What becomes unusable where only cpu is taken."""
        free, whole = self._fleet.free[rows], self._whole(rows)
        return self._usable(rows, 0, free, whole) - self._usable(rows, cpu, free, whole)

    def _lost(self, rows: Ints, cpu: int, left: Ints) -> Ints:
        """What becomes unusable where cpu is taken, and so much is left free of each device."""
        free, whole, pool = self._fleet.free[rows], self._whole(rows), self._fleet.pool[rows]
        filled = (free >= DEVICE) & (left < DEVICE)
        fewer = whole - (filled[:, :, None] & (pool[:, :, None] == self._pools)).sum(axis=1)
        return self._usable(rows, 0, free, whole) - self._usable(rows, cpu, left, fewer)

    def _whole(self, rows: Ints) -> Ints:
        return self._fleet.whole[rows, : len(self._pools)]

    def _level(self, rows: Ints, cpu: int) -> Ints:
        return self._table.level(self._fleet.cpu[rows] - cpu)

    def _shortage(self, rows: Ints, cpu: int, milli: Ints | int) -> Floats:
        """Growth of the free devices for which the free cpu would not do."""
        if not self._shortage_weight:
            return np.zeros(len(rows))
        free, room = self._fleet.free[rows].sum(axis=1), self._fleet.cpu[rows]
        before: Floats = np.maximum(0, free - room * self._devices_per_cpu)
        after: Floats = np.maximum(0, free - milli - (room - cpu) * self._devices_per_cpu)
        return self._shortage_weight * (after - before)

    def _of_plain(self, asked: Asked, rows: Ints) -> Ints:
        cpu = asked.plain.get("cpu", 0)
        lost = self._lost_by_cpu(rows, cpu)
        return _rounded(lost * self._scale + self._shortage(rows, cpu, 0))

    def _of_devices(self, asked: Asked, rows: Ints, accepted: Bools) -> Ints:
        """Whole devices are taken in the order of their indices, as they will be bound."""
        fleet, cpu = self._fleet, asked.plain.get("cpu", 0)
        free, pool = fleet.free[rows], fleet.pool[rows]
        idle = accepted[pool] & (free >= DEVICE)
        taken = idle & (idle.cumsum(axis=1) <= asked.count)
        lost = self._lost(rows, cpu, np.where(taken, 0, free))
        pressed = (self._pressure[pool] * taken).sum(axis=1) * DEVICE
        return _rounded(lost * self._scale + self._shortage(rows, cpu, asked.milli) + pressed)

    def _of_share(self, asked: Asked, rows: Ints, accepted: Bools) -> tuple[Ints, Ints]:
        """Each device is tried: what changes on it, besides what the cpu taken changes for all."""
        fleet, cpu, share = self._fleet, asked.plain.get("cpu", 0), asked.share
        free, pool, table = fleet.free[rows], fleet.pool[rows], self._table
        level = self._level(rows, cpu)[:, None]
        lost = self._lost_by_cpu(rows, cpu)[:, None]
        left = np.maximum(0, free - share)
        lost = lost + table.one[pool, level, free] - table.one[pool, level, left]
        whole = np.take_along_axis(fleet.whole[rows], pool, axis=1)
        fewer = whole - (free >= DEVICE)
        lost = lost + table.several[pool, level, whole] - table.several[pool, level, fewer]
        cost = lost * self._scale + self._pressure[pool] * share
        cost = np.where(accepted[pool] & (free >= share), cost, _NEVER)
        # The lowest index of equal ones: rounded first, or noise would choose.
        parts = np.rint(cost * _PARTS)
        devices = parts.argmin(axis=1)
        best = cost[np.arange(len(rows)), devices]
        return _rounded(best + self._shortage(rows, cpu, share)), devices


def _rounded(cost: Floats) -> Ints:
    return np.rint(cost * _PARTS).astype(np.int64)
