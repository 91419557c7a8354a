"""How much of an agent's free accelerators the sessions that arrive could use, as tables.

A kind of request counts with its popularity. What it can use of an agent: a share or one whole device,
every device with that much free; several whole devices, all idle ones, if there are so many; nothing
where the cpu does not suffice. Both depend only on the pool, on how much cpu is free, and on the
milli of one device or the number of idle ones; so each is a sum over kinds made once, and looking at
an agent costs a few look-ups. Counts are integers: equal agents have equal values, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.selectors.arrivals import Kind
from scheduler.cycle.selectors.fleet import Ints
from scheduler.domain.slots import DEVICE, MOST_DEVICES

#: Amounts of cpu told apart; with more they are rounded up to one of these, so tables stay small.
_STEPS: Final = 64


class UsableTable:
    """Expected usable accelerators for some counts of kinds and some pools."""

    def __init__(self, counts: Mapping[Kind, int], pools: Sequence[tuple[str, str]]) -> None:
        self.weight = sum(counts.values())
        cpus = np.unique(np.array([kind.cpu for kind in counts], dtype=np.int64))
        if len(cpus) > _STEPS:
            cpus = cpus[np.linspace(0, len(cpus) - 1, _STEPS).round().astype(np.int64)]
        self._steps = cpus
        shape = (max(1, len(pools)), len(cpus) + 1)
        one = np.zeros((*shape, DEVICE + 1), dtype=np.int64)
        several = np.zeros((*shape, MOST_DEVICES + 1), dtype=np.int64)
        for kind, count in counts.items():
            # The level at which it fits; level 0 holds nobody.
            level = int(np.searchsorted(cpus, kind.cpu, side="left")) + 1
            for pool in [n for n, (f, model) in enumerate(pools) if kind.accepts(f, model)]:
                if kind.count == 1:
                    one[pool, level, kind.share] += count
                else:
                    several[pool, level, min(kind.count, MOST_DEVICES)] += count
        # Whoever fits with less cpu, or asks for less, fits here, too.
        #: [pool, level, free milli of a device]: usable milli of it.
        self.one = one.cumsum(1).cumsum(2) * np.arange(DEVICE + 1)
        #: [pool, level, idle devices]: milli usable by those who ask for several.
        self.several = several.cumsum(1).cumsum(2) * (DEVICE * np.arange(MOST_DEVICES + 1))

    def level(self, cpu: Ints) -> Ints:
        """The level of amounts of free cpu."""
        return np.searchsorted(self._steps, cpu, side="right").astype(np.int64)


def pressures(
    counts: Mapping[Kind, int], pools: Sequence[tuple[str, str]], devices: Ints
) -> NDArray[np.float64]:
    """How much each pool's devices are asked for, 1 on average within a family.

    The demand of each kind is spread evenly over the devices that it accepts.
    """
    asked = np.zeros(len(pools))
    for kind, count in counts.items():
        accepted = np.array([kind.accepts(*pool) for pool in pools], dtype=bool)
        if there := devices[accepted].sum():
            asked[accepted] += count * kind.milli / there
    for family in {family for family, _ in pools}:
        own = np.array([pool[0] == family for pool in pools], dtype=bool)
        mean = float((asked * devices)[own].sum()) / max(1, devices[own].sum())
        asked[own] = asked[own] / mean if mean else 1.0
    return asked


def cpu_per_device(counts: Mapping[Kind, int]) -> float:
    """Milli of cpu asked per milli of accelerator asked, on average; 0 where nothing is known."""
    milli = sum(kind.milli * count for kind, count in counts.items())
    return sum(kind.cpu * count for kind, count in counts.items()) / milli if milli else 0.0
