"""One agent after the other, by id."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from scheduler.plugins.interfaces import AbstractAgentSelector, AgentView, Need
from scheduler.plugins.options import SELECTOR_OPTS, PluginOptions, read_options

#: Layout of the text that is kept.
_VERSION: Final = 1
#: Agents tried one by one before all that fit are asked for: where most are full, that is less work.
_TRIED: Final = 32


class RoundRobinAgentSelector(AbstractAgentSelector):
    """The agent whose id comes after the last one's, per architecture that is asked for.

    The id of the last one is kept, not its number: agents that come and go shift nobody. It is written
    together with the placements, so a new leader goes on where the last one stopped.
    """

    name: ClassVar[str] = "roundrobin"

    def __init__(self, opts: Mapping[str, Any]) -> None:
        read_options(PluginOptions, opts, self.name, SELECTOR_OPTS)
        self._last: dict[str, str] = {}  #: id of the last agent, by architecture; "" for any
        self._order: list[tuple[str, int]] = []

    def assign_agent_for_kernel(self, view: AgentView, need: Need) -> int | None:
        # An index stays an agent's own, so only new agents change the order.
        if len(self._order) != len(view):
            self._order = sorted((view.agent_id(index), index) for index in range(len(view)))
        architecture = need.constraints.architecture
        found = self._after(self._last.get(architecture, ""), view, need)
        if found is None:
            return None
        self._last[architecture] = view.agent_id(found)
        return found

    def _after(self, last: str, view: AgentView, need: Need) -> int | None:
        # No index is that high: who has the last id itself comes last.
        start = bisect_right(self._order, (last, len(self._order)))
        count = len(self._order)
        for step in range(min(_TRIED, count)):
            index = self._order[(start + step) % count][1]
            if view.has_room(index, need):
                return index
        fitting = [(view.agent_id(index), index) for index in view.fits(need)]
        behind = [entry for entry in fitting if entry[0] > last]
        return min(behind or fitting, default=("", None))[1]

    def state(self) -> str | None:
        return json.dumps({"version": _VERSION, "last": self._last}, separators=(",", ":"))

    def restore(self, text: str) -> None:
        found = json.loads(text)
        if not isinstance(found, Mapping) or found.get("version") != _VERSION:
            raise ValueError(f"it is not of version {_VERSION}")
        last = found.get("last")
        if not isinstance(last, Mapping):
            raise ValueError("it names no last agents")  # noqa: TRY004 - a text, not an argument
        self._last = {str(architecture): str(agent) for architecture, agent in last.items()}
