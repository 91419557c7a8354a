"""Keeps free accelerators usable for the sessions that arrive.

Fragmentation gradient descent (Weng et al., USENIX ATC 2023): place where the free accelerators that
the usual sessions cannot use grow least. Two more terms, which beat it on every list tried: cpu that
runs short beside free devices, and devices of models that others must have.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scheduler.cycle.selectors.arrivals import Arrivals
from scheduler.cycle.selectors.asked import Asked, asked_of
from scheduler.cycle.selectors.fleet import Fleet, Ints
from scheduler.cycle.selectors.growth import Growth, Weights
from scheduler.domain.constraints import MODEL, Constraints
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AgentView,
    Candidate,
    Need,
)
from scheduler.plugins.options import SELECTOR_OPTS, PluginOptions, read_options

#: Kinds of need whose costs are kept; the one longest unused is dropped.
_KEPT: Final = 512
#: The cost of an agent without room.
_NEVER: Final = np.iinfo(np.int64).max


class FragmentationOptions(PluginOptions):
    """Weights are in milli accelerators per milli accelerator."""

    cpu_shortage: float = Field(2.0, ge=0, le=1000)  #: weight of cpu that runs short; 0: FGD
    cpu_reserve: float = Field(0.8, gt=0, le=10)  #: part of the mean cpu per device to be kept
    model_pressure: float = Field(2.0, ge=0, le=1000)  #: weight of models others must have; 0: FGD
    memory: int = Field(100_000, ge=100, le=10**9)  #: arrivals after which old ones fade


class _Standing:
    """What each agent would cost one kind of need, and which device it would give."""

    def __init__(self, asked: Asked | None) -> None:
        self.asked = asked  #: None: it is looked at agent by agent
        self.costs: Ints = np.empty(0, dtype=np.int64)
        self.devices: NDArray[np.int16] = np.empty(0, dtype=np.int16)
        self.seen = -1
        self.epoch = -1


class FragmentationAgentSelector(AbstractAgentSelector):
    """The agent, and for a share the device, where fragmentation grows least; ties are broken by id.

    Costs are kept by kind of need, and only agents that changed since it last asked are looked at.
    """

    name: ClassVar[str] = "fragmentation"
    keep_every_ms: ClassVar[int] = 1_000

    def __init__(self, opts: Mapping[str, Any]) -> None:
        found = read_options(FragmentationOptions, opts, self.name, SELECTOR_OPTS)
        self._weights = Weights(found.cpu_shortage, found.cpu_reserve, found.model_pressure)
        self._arrivals = Arrivals(found.memory)
        self._fleet = Fleet()
        self._growth = Growth(self._fleet, {}, self._weights)
        self._layout = -1
        self._epoch = 0
        self._standings: OrderedDict[tuple[object, ...], _Standing] = OrderedDict()

    def learn(self, arrived: Sequence[Candidate]) -> None:
        if self._arrivals.learn(arrived):
            self._layout = -1

    def state(self) -> str | None:
        return self._arrivals.text()

    def restore(self, text: str) -> None:
        self._arrivals.restore(text)
        self._layout = -1

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:
        standing = self._standing(view, need)
        costs = standing.costs
        while costs.size and (least := costs.min()) != _NEVER:
            ties = np.flatnonzero(costs == least)
            index = int(ties[self._fleet.id_rank[ties].argmin()])
            if view.has_room(index, need):
                return index
            costs[index] = _NEVER
        return None

    def choose_devices(
        self, view: AgentView, index: int, need: Need
    ) -> Sequence[dict[str, int]] | None:
        standing = self._standing(view, need)
        asked = standing.asked
        if asked is None or not asked.is_share:
            return view.bind(index, need)
        return [{**asked.plain, self._fleet.names[index][standing.devices[index]]: asked.share}]

    def _standing(self, view: AgentView, need: Need) -> _Standing:
        fleet = self._fleet
        fleet.follow(view)
        if self._layout != fleet.layout:
            self._growth = Growth(fleet, self._arrivals.counts, self._weights)
            self._layout = fleet.layout
            self._epoch += 1
        standing = self._standings.get(need.key)
        if standing is None:
            standing = self._standings[need.key] = _Standing(asked_of(need))
            if len(self._standings) > _KEPT:
                self._standings.popitem(last=False)
        self._standings.move_to_end(need.key)
        if standing.epoch != self._epoch or len(standing.costs) != len(fleet):
            standing.costs = np.full(len(fleet), _NEVER, dtype=np.int64)
            standing.devices = np.zeros(len(fleet), dtype=np.int16)
            standing.epoch, standing.seen = self._epoch, -1
        if standing.seen != fleet.now:
            rows = np.flatnonzero(fleet.stamp[: len(fleet)] > standing.seen)
            standing.costs[rows] = _NEVER
            self._look(view, need, rows, standing)
            standing.seen = fleet.now
        return standing

    def _look(self, view: AgentView, need: Need, rows: Ints, standing: _Standing) -> None:
        """Work out what these agents would cost."""
        asked = standing.asked
        if asked is None:
            self._look_at_each(view, need, rows, standing)
            return
        accepted = asked.accepted(self._fleet.pools)
        rows = asked.fitting(self._fleet, rows, accepted)
        if not _told_by_pools(asked, need.constraints):
            rows = np.array([i for i in rows.tolist() if view.has_room(i, need)], dtype=np.int64)
        if rows.size:
            found, devices = self._growth.costs(asked, rows, accepted)
            standing.costs[rows], standing.devices[rows] = found, devices

    def _look_at_each(self, view: AgentView, need: Need, rows: Ints, standing: _Standing) -> None:
        """Several kernels, or several families of accelerators: by the devices the usual rule gives."""
        for index in rows.tolist():
            if view.has_room(index, need) and (bound := view.bind(index, need)) is not None:
                standing.costs[index] = self._growth.cost_of(index, bound)


def _told_by_pools(asked: Asked, constraints: Constraints) -> bool:
    """Whether the models of its own devices are all that a need is particular about."""
    if constraints.preferred_labels or constraints.architecture or constraints.agents:
        return False
    return all(name == f"{asked.family}{MODEL}" for name, _ in constraints.labels)
