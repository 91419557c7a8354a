"""Which agents meet which constraints: one array per distinct constraints, kept as agents change.

Labels, models and architecture change only when an agent registers, so a placement costs one look
into an array, and a session without constraints none at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scheduler.domain.agent import AgentData
from scheduler.domain.constraints import MODEL, OR, Constraints, Labels
from scheduler.domain.fitting import has_label

#: Distinct constraints that are remembered; the one longest unused is worked out again.
_KEPT = 1_024
_EXCLUDED = -1


class _Row(Protocol):
    @property
    def data(self) -> AgentData: ...


class Filters:
    """How well each agent meets constraints: -1 not at all, else how many of its wishes."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows
        self._found: OrderedDict[Constraints, NDArray[np.int32]] = OrderedDict()

    def met(self, constraints: Constraints) -> NDArray[np.int32]:
        """How many wishes each agent meets, -1 where it is excluded."""
        found = self._found.get(constraints)
        if found is None or len(found) < len(self._rows):
            # Room for more agents: else a group that grows would have it worked out for each.
            found = np.full(max(64, 2 * len(self._rows)), _EXCLUDED, dtype=np.int32)
            found[: len(self._rows)] = [wishes_met(constraints, row.data) for row in self._rows]
            self._found[constraints] = found
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)
        self._found.move_to_end(constraints)
        return found[: len(self._rows)]

    def update(self, index: int) -> None:
        """An agent is new, or another one than it was."""
        data = self._rows[index].data
        for constraints, found in self._found.items():
            if index < len(found):
                found[index] = wishes_met(constraints, data)

    def levels(self, constraints: Constraints) -> list[int]:
        """How many wishes agents meet, most first, without none at all."""
        met = self.met(constraints)
        return [int(level) for level in np.unique(met[met > 0])[::-1]]


def wishes_met(constraints: Constraints, agent: AgentData) -> int:
    """How many wishes an agent meets, -1 where it is excluded. A designation outweighs all labels."""
    if missing(constraints, agent):
        return _EXCLUDED
    met = sum(has_label(agent, name, values) for name, values in constraints.preferred_labels)
    if not constraints.agents_strict and agent.id in constraints.agents:
        met += len(constraints.preferred_labels) + 1
    return met


def missing(constraints: Constraints, agent: AgentData) -> str:
    """The first thing that excludes an agent, in words; "" for none."""
    if constraints.agents_strict and constraints.agents and agent.id not in constraints.agents:
        return "not designated"
    if constraints.architecture and agent.architecture != constraints.architecture:
        return f"lack architecture {constraints.architecture}"
    return _missing_label(constraints.labels, agent)


def _missing_label(labels: Labels, agent: AgentData) -> str:
    for name, values in labels:
        if not has_label(agent, name, values):
            kind = "" if name.endswith(MODEL) else "label "
            return f"lack {kind}{name}={OR.join(values)}"
    return ""
