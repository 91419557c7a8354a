"""One order of agents for all needs that rank them alike, whatever amounts and labels they ask for.

A ranking for each kind of need must follow every change of every agent: with eight shapes of request
and three labels each placement was followed in 32 of them. Here it is followed once for each set of
families, and who has no room for a need is stepped over when the need asks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any, TypeAlias

from scheduler.plugins.interfaces import AgentView, Need

_Rank: TypeAlias = tuple[int, ...]
#: Rank, id and index in one tuple: comparing nested ones, a third of following an order went to their inner halves.
_Entry: TypeAlias = tuple[Any, ...]

#: Agents without room that are stepped over for one choice: more cost what following all changes does.
PATIENCE = 16


class SharedOrder:
    """Agents that take work, best rank first."""

    def __init__(self) -> None:
        self._order: list[_Entry] = []
        self._entries: dict[int, _Entry] = {}
        self._version = -1

    def follow(self, view: AgentView, rank: Callable[[int], _Rank]) -> None:
        """Take in what changed since the last time."""
        changed = view.changed_since(self._version) if self._version >= 0 else None
        if changed is None or len(changed) > len(view):
            found = (self._entry(view, index, rank) for index in range(len(view)))
            self._entries = {entry[-1]: entry for entry in found if entry is not None}
            self._order = sorted(self._entries.values())
        else:
            for index in changed if len(changed) == 1 else set(changed):
                self._replace(index, self._entry(view, index, rank))
        self._version = view.version

    def _entry(self, view: AgentView, index: int, rank: Callable[[int], _Rank]) -> _Entry | None:
        if not view.kernels_left(index):
            return None
        return (*rank(index), view.agent_id(index), index)

    def _replace(self, index: int, new: _Entry | None) -> None:
        entries, order = self._entries, self._order
        old = entries.get(index)
        if old == new:
            return
        if old is not None:
            del order[bisect_left(order, old)]
        if new is None:
            del entries[index]
        else:
            entries[index] = new
            insort(order, new)

    def best(self, view: AgentView, need: Need, least: int) -> tuple[int | None, bool]:
        """The first agent with room, and whether that is known: not if too many have none.

        ``least``: of the first family that ranks compare; who has less free has no room, where ranks
        ascend by it. 0 where they do not.
        """
        order, at, patience = self._order, 0, PATIENCE
        first = -2 - len(need.families)
        while at < len(order):
            entry = order[at]
            if least and entry[first] < least:
                # All that are alike so far and have too little: look at none of them.
                at = bisect_left(order, (*entry[:first], least), at + 1)
                continue
            if view.has_room(entry[-1], need):
                return entry[-1], True
            at, patience = at + 1, patience - 1
            if not patience:
                return None, False
        return None, True
