"""Places one session by its cluster mode: every kernel of it, or none and no trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.plan import Placement
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain import slots as slot_math
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    Assign,
    KernelAgentBinding,
    Need,
)

#: Kernels from which on it pays to count room before they are tried one by one.
MANY = 10


class WrongChoice(IndexError):
    """A selector chose an agent that is none."""


class KernelRoom:
    """What one session was given of the snapshot so far."""

    def __init__(self, agents: AgentTable, endpoint: str, selector: AbstractAgentSelector) -> None:
        self.agents = agents
        self._selector = selector
        self._endpoint = endpoint
        self._taken: list[KernelAgentBinding] = []

    def choose(self, assign: Assign, need: Need, *, without: Sequence[int] = ()) -> int | None:
        """The best agent for a need by a selector's method; those it prefers are tried first."""
        if not (without or need.filtered):
            return self._chosen(assign(self.agents, need))
        if without:
            with self.agents.hiding(without):
                return self.choose(assign, need)
        for wish in self.agents.wishes(need):
            if (index := self._chosen(assign(self.agents, wish))) is not None:
                return index
        return None

    def _chosen(self, index: int | None) -> int | None:
        if index is not None and not 0 <= index < len(self.agents.rows):
            raise WrongChoice(f"it chose agent {index}, and there are {len(self.agents.rows)}")
        return index

    def take(
        self, index: int, need: Need, kernels: Sequence[int]
    ) -> list[KernelAgentBinding] | None:
        """Give the kernels of a need to an agent; None if they do not fit there after all."""
        bound = self._selector.choose_devices(self.agents, index, need)
        if bound is None:
            return None
        data = self.agents.rows[index].data
        taken = [
            KernelAgentBinding(kernel, data.id, data.boot, slots)
            for kernel, slots in zip(kernels, bound, strict=True)
        ]
        for binding in taken:
            self.agents.take(binding.agent, binding.slots, self._endpoint)
        self._taken += taken
        return taken

    def give_back(self) -> None:
        """Undo all that was taken."""
        for binding in self._taken:
            self.agents.give(binding.agent, binding.slots, self._endpoint)
        self._taken.clear()

    def is_exactly(self, bindings: Sequence[KernelAgentBinding], size: int) -> bool:
        """Whether these are what was taken, one for each kernel."""
        if len(bindings) != size or len(self._taken) != size:
            return False
        if size == 1:
            return bindings[0].kernel == 0
        return {binding.kernel for binding in bindings} == set(range(size))


def place(
    session: WaitingSession,
    needs: Sequence[Need],
    agents: AgentTable,
    how: tuple[AbstractClusterMode, AbstractAgentSelector],
) -> Placement | None:
    """Reserve room for all kernels of a session, or leave the table as it was.

    Agents on which it just failed come last: it is placed without them first.
    """
    if session.failed_on:
        found_at = map(agents.index_of, session.failed_on)
        failed = [index for index in found_at if index is not None]
        with agents.hiding(failed):
            found = _place(session, needs, agents, how)
        if found is not None:
            return found
    return _place(session, needs, agents, how)


def _place(
    session: WaitingSession,
    needs: Sequence[Need],
    agents: AgentTable,
    how: tuple[AbstractClusterMode, AbstractAgentSelector],
) -> Placement | None:
    mode, selector = how
    # A gang that is refused is asked again whenever a kernel ends: look first whether there is so much.
    # The look costs what ten kernels do.
    if len(needs) > MANY and any(agents.room_for(n, count) < count for n, count in alike(needs)):
        return None
    room = KernelRoom(agents, session.request.constraints.endpoint, selector)
    placed: Placement | None = None
    try:
        bindings = mode.schedule(needs, room, selector)
        if bindings is not None:
            if not room.is_exactly(bindings, len(session.request.kernels)):
                raise ValueError("it did not bind every kernel exactly once")
            ordered = bindings if len(bindings) == 1 else sorted(bindings, key=lambda b: b.kernel)
            placed = Placement(session, tuple(ordered))
    finally:
        if placed is None:
            room.give_back()
    return placed


def alike(needs: Sequence[Need]) -> list[tuple[Need, int]]:
    """Each distinct need, and how many kernels have it."""
    by_key = {need.key: need for need in needs}
    return [(by_key[key], count) for key, count in Counter(n.key for n in needs).items()]


def never_fits(needs: Sequence[Need], agents: AgentTable) -> str:
    """Why a session can run on no agents of the group, not even idle ones; "" where it can."""
    shapes = agents.shapes()
    if not shapes:
        return ""
    for need, count in alike(needs):
        slots = slot_math.render(need.slots)
        if count == 1 and not need.filtered:
            # Few shapes, looked at first; they show neither devices nor the limit of kernels.
            covered = any(slot_math.covers(shape, need.slots) for shape in shapes)
            if not covered or not (need.plain or agents.can_ever_hold(need)):
                asked = slot_math.render_kernels(need.kernels)
                return f"it asks for {asked}, and no agent of the group has that, even when idle"
        elif not agents.can_ever_hold(need):
            asked = ", ".join(filter(None, (slots, need.constraints.says())))
            told = _counted(agents.excluded(need.constraints))
            return (
                f"it asks for {asked}, and no agent of the group has that, even when idle ({told})"
            )
        elif not agents.can_ever_hold(need, count):
            return (
                f"{count} of its kernels ask for {slots} each, and the agents of the group cannot"
                " hold so many at a time, even when idle"
            )
    return ""


def word_no_room(needs: Sequence[Need], agents: AgentTable) -> str:
    """Why no agents take this, counted by the first thing each lacks."""
    for need, count in alike(needs):
        room = agents.room_for(need, count)
        if len(needs) == 1 or not room:
            return _word(need, agents.lacks(need))
        if room < count:
            slots = slot_math.render(need.slots)
            return f"there is room for {room} of its {count} kernels that ask for {slots} each now"
    return f"there is room now for some of its {len(needs)} kernels, but not for all at a time"


def _word(need: Need, lacks: Mapping[str, int]) -> str:
    if not lacks:
        return "the group has no agent yet: `scheduler agent run` starts one"
    return f"no agent has {slot_math.render(need.slots)} free now ({_counted(lacks)})"


def _counted(reasons: Mapping[str, int]) -> str:
    told = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"of {sum(reasons.values())}: {', '.join(f'{count} {why}' for why, count in told)}"
