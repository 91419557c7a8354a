"""What one kernel asks of an agent, as numbers for arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.cycle.selectors.fleet import Fleet, Ints
from scheduler.domain.slots import DEVICE
from scheduler.plugins.interfaces import Need

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """Plain slots, and at most one family of accelerators: a share of one device, or whole devices."""

    plain: Mapping[str, int]
    family: str
    share: int  #: milli of each device; 1000 for whole ones
    count: int  #: devices
    is_share: bool
    models: frozenset[str] | None  #: accepted; None for any

    @property
    def milli(self) -> int:
        """What it holds of accelerators."""
        return self.share * self.count

    def accepted(self, pools: Sequence[tuple[str, str]]) -> Bools:
        """Which pools it can use."""
        return np.array(
            [f == self.family and (self.models is None or m in self.models) for f, m in pools],
            dtype=bool,
        )

    def fitting(self, fleet: Fleet, rows: Ints, accepted: Bools) -> Ints:
        """Those of some agents that have room."""
        fits = fleet.kernels[rows] > 0
        for name, amount in self.plain.items():
            column = fleet.plain.get(name)
            fits &= column is not None and column[rows] >= amount
        if self.count:
            if not accepted.any():
                return rows[:0]
            rows = rows[fits]
            usable = accepted[fleet.pool[rows]] & (fleet.free[rows] >= self.share)
            fits = usable.sum(axis=1) >= self.count
        return rows[fits]


def asked_of(need: Need) -> Asked | None:
    """The need as numbers; None for several kernels or several families of accelerators."""
    if len(need.kernels) != 1:
        return None
    kernel = need.kernels[0]
    devices = [(name, amount) for name, amount in kernel.items() if "." in name]
    if len(devices) > 1:
        return None
    plain = {name: amount for name, amount in kernel.items() if "." not in name}
    if not devices:
        return Asked(plain, "", 0, 0, is_share=False, models=None)
    family, _, kind = devices[0][0].partition(".")
    amount, models = devices[0][1], need.constraints.models.get(family)
    if kind == "shares":
        return Asked(plain, family, amount, 1, is_share=True, models=models)
    return Asked(plain, family, DEVICE, amount, is_share=False, models=models)
