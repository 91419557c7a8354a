"""What one session that found no room is promised: when, and which kernels of it will be where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.cycle.plan import Placement
from scheduler.cycle.releases import Kernel, end_of
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.clock import utc
from scheduler.plugins.interfaces import Need

#: Agents that are named to people.
_NAMED = 3


class Share(NamedTuple):
    """One kernel of a promise."""

    agent: str
    slots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Hold:
    """The kernels of a promise that go to one agent."""

    agent: str
    kernels: tuple[int, ...]
    need: Need  #: of these kernels together
    slots: tuple[dict[str, int], ...]  #: device slots of each
    total: Mapping[str, int] = field(default_factory=dict)

    def bound(self, slots: tuple[dict[str, int], ...]) -> Hold:
        """The same on other devices."""
        return Hold(self.agent, self.kernels, self.need, slots, _summed(slots))


@dataclass(eq=False, slots=True)
class Promise:
    """A session that found no room starts then at the latest, if nobody with a better rank comes."""

    session: WaitingSession
    at_ms: int
    ends_ms: int  #: when it is gone again at the latest
    made_ms: int  #: when an earlier time was looked for last
    holds: list[Hold]

    @property
    def request(self) -> str:
        """The line it is for."""
        return self.session.request.id

    @property
    def agents(self) -> list[str]:
        """Where."""
        return [hold.agent for hold in self.holds]

    @property
    def kernels(self) -> list[Kernel]:
        """What it holds from then on."""
        return [Share(hold.agent, slots) for hold in self.holds for slots in hold.slots]

    @property
    def says(self) -> str:
        """For people."""
        agents = self.agents
        where = ", ".join(agents[:_NAMED])
        if len(agents) > _NAMED:
            where += f" and {len(agents) - _NAMED} more"
        return f"reserved on {where} from {utc(self.at_ms)} (at the latest)"


def promise_of(placement: Placement, at_ms: int, now_ms: int) -> Promise:
    """A promise of what a session would get at a time."""
    session = placement.session
    by_agent: dict[str, list[int]] = {}
    for binding in placement.bindings:
        by_agent.setdefault(binding.agent, []).append(binding.kernel)
    slots = {binding.kernel: binding.slots for binding in placement.bindings}
    asked, constraints = session.request.kernels, session.request.constraints
    holds = []
    for agent, kernels in by_agent.items():
        need = Need.of([asked[kernel] for kernel in kernels], constraints)
        bound = tuple(slots[kernel] for kernel in kernels)
        holds.append(Hold(agent, tuple(kernels), need, bound, _summed(bound)))
    return Promise(session, at_ms, end_of(at_ms, session.timeout_ms), now_ms, holds)


def _summed(slots: tuple[dict[str, int], ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for kernel in slots:
        for name, amount in kernel.items():
            found[name] = found.get(name, 0) + amount
    return found
