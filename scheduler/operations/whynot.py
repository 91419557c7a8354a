"""Why a session does not go to this agent or that: obstacles, nearest miss first, and the smallest change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from heapq import heapify, heappop, heapreplace
from itertools import combinations
from typing import Any

from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.constraints import MODEL
from scheduler.domain.fitting import largest_first
from scheduler.domain.obstacles import (
    Asked,
    Obstacle,
    ObstacleKind,
    beside_models,
    fitting,
    miss,
    obstacles,
)
from scheduler.domain.session import SessionData
from scheduler.domain.slots import DEVICE, spoken
from scheduler.domain.spec import ClusterMode
from scheduler.domain.states import KERNEL_LIVE
from scheduler.plugins.interfaces import Need
from scheduler.store.attempts import ATTEMPTS_REMEMBERED
from scheduler.store.rows import labels_of

#: Sessions of an agent of which any two are tried; beyond that they are taken one by one.
_PAIRED = 64
#: What kernels that run there take away.
_ROOM = (ObstacleKind.SLOT, ObstacleKind.KERNELS, ObstacleKind.TOGETHER)


@dataclass(frozen=True, slots=True)
class Holder:
    """What one placed session holds of an agent."""

    session: str
    slots: Mapping[str, int]  #: device slots of its live kernels there
    kernels: int


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """Why a session does not go to one agent."""

    agent: str
    obstacles: tuple[Obstacle, ...]
    changes: tuple[str, ...]  #: all of them together would let it run there
    kernels: int  #: of the session
    fits: int  #: how many of them find room there now
    fits_idle: int  #: how many would, if nothing else ran there
    notes: tuple[str, ...] = ()  #: what does not exclude the agent, and puts others before it

    @property
    def says(self) -> str:
        """In one sentence."""
        if not self.obstacles:
            return f"agent {self.agent} has room for it now"
        return f"agent {self.agent} {' and '.join(o.says for o in self.obstacles)}"

    @property
    def hint(self) -> str:
        """Whether waiting helps, where room is what it lacks; else ""."""
        if not any(obstacle.kind in _ROOM for obstacle in self.obstacles):
            return ""
        if self.fits_idle == self.kernels:
            return "it would fit there if the agent were idle"
        if self.fits_idle:
            return f"even idle the agent holds {self.fits_idle} of its {self.kernels} kernels"
        return "the agent is too small for it, even idle"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "agent": self.agent,
            "says": self.says,
            "obstacles": [
                asdict(o) | {"kind": str(o.kind), "short": o.short} for o in self.obstacles
            ],
            "changes": list(self.changes),
            "kernels": self.kernels,
            "fits": self.fits,
            "fits_idle": self.fits_idle,
            "hint": self.hint,
            "notes": list(self.notes),
        }


def asked_of(needs: Sequence[Need], mode: str) -> Asked:
    """What a session asks of one agent, its kernels in the order in which its mode lays them there."""
    order = largest_first([need.slots for need in needs])
    return Asked(
        tuple(kernel for index in order for kernel in needs[index].kernels),
        needs[0].constraints,
        spread=mode != ClusterMode.SINGLE_NODE,
    )


def answer(
    asked: Asked,
    agent: AgentData,
    *,
    kernels: int,
    failed_on: Iterable[str] = (),
    holders: Sequence[Holder] = (),
) -> AgentAnswer:
    """Why not on this agent, on which so many kernels run.

    With ``holders``, the changes name the sessions whose end makes room, as few as suffice.
    """
    found = obstacles(asked, agent, kernels)
    room = beside_models(asked, agent)
    notes = ("an earlier attempt failed there, so other agents come first",)
    return AgentAnswer(
        agent.id,
        found,
        _changes(room, agent, found, holders),
        kernels=len(asked.kernels),
        fits=fitting(room, agent, agent.free, kernels),
        fits_idle=fitting(room, agent, agent.capacity, 0),
        notes=notes if agent.id in failed_on else (),
    )


@dataclass(frozen=True, slots=True)
class Glimpse:
    """An agent of which little was read yet."""

    agent: str
    least: tuple[int, float]  #: its miss is this or more
    read: Callable[[], AgentData]


def nearest(
    asked: Asked,
    agents: Iterable[Glimpse],
    kernels: Mapping[str, int],
    most: int,
    failed_on: Iterable[str] = (),
) -> tuple[AgentAnswer, ...]:
    """Why not on each of the agents, nearest miss first; at most so many.

    Only those are read whole that may be among them.
    """
    heap: list[tuple[tuple[int, float], str, int, AgentData | Glimpse]] = [
        (glimpse.least, glimpse.agent, 0, glimpse) for glimpse in agents
    ]
    heapify(heap)
    found: list[AgentAnswer] = []
    while heap and len(found) < most:
        _, name, _, each = heap[0]
        if isinstance(each, Glimpse):
            agent = each.read()
            heapreplace(heap, (miss(asked, agent, kernels.get(name, 0)), name, 1, agent))
            continue
        heappop(heap)
        found.append(answer(asked, each, kernels=kernels.get(name, 0), failed_on=failed_on))
    return tuple(found)


def least_miss(asked: Asked, record: Mapping[str, str]) -> tuple[int, float]:
    """A miss that an agent has at least, told from a few fields of its record."""
    constraints = asked.constraints
    count = (record.get("drained") == "1") + (record.get("status") != AgentStatus.READY)
    if constraints.architecture:
        count += record.get("architecture") != constraints.architecture
    if constraints.labels:
        labels = labels_of(record)
        count += sum(
            labels.get(name) not in values
            for name, values in constraints.labels
            if not name.endswith(MODEL)
        )
    shortage = float(count)
    for name, amount in () if asked.spread else asked.sums.items():
        family, _, kind = name.partition(".")
        if not kind:
            left = _number(record.get(f"free:{name}", "0"))
        elif constraints.models:
            continue
        else:
            prefix = f"free:{family}."
            parts = [_number(text) for slot, text in record.items() if slot.startswith(prefix)]
            # What makes no sense is not offered, so it counts as nothing here, too.
            left = (
                max(parts, default=0) if kind == "shares" else sum(part >= DEVICE for part in parts)
            )
        if left < amount:
            count, shortage = count + 1, shortage + (amount - left) / amount
    return count, shortage


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def failed_lately(data: SessionData) -> frozenset[str]:
    """Agents of a waiting session's last attempts, none of which went well."""
    return frozenset(
        agent for attempt in data.history[-ATTEMPTS_REMEMBERED:] for agent in attempt.agents
    )


def holders_on(agent: str, placed: Iterable[SessionData]) -> list[Holder]:
    """What placed sessions hold of an agent."""
    found = []
    for data in placed:
        live = [k for k in data.kernels if k.agent == agent and k.state in KERNEL_LIVE]
        if live:
            slots = sum((Counter(kernel.slots) for kernel in live), Counter[str]())
            found.append(Holder(data.id, slots, len(live)))
    return found


def _changes(
    asked: Asked, agent: AgentData, found: Sequence[Obstacle], holders: Sequence[Holder]
) -> tuple[str, ...]:
    passing = [o for o in found if o.passes]
    changes = [o.change for o in found if not o.passes]
    together = any(o.kind is ObstacleKind.TOGETHER for o in passing)
    if passing and not (asked.spread and together):
        ending = _who_must_end(asked, agent, holders)
        if ending:
            return (*changes, *(_ends(holder) for holder in ending))
    return (*changes, *(o.change for o in passing))


def _who_must_end(asked: Asked, agent: AgentData, holders: Sequence[Holder]) -> tuple[Holder, ...]:
    """The fewest sessions whose end makes room, of several the smallest; () where none do."""
    running = sum(holder.kernels for holder in holders)
    enough = 1 if asked.spread else len(asked.kernels)

    def suffices(ending: Sequence[Holder]) -> bool:
        free = Counter(agent.free)
        for holder in ending:
            free.update(holder.slots)
        left = running - sum(holder.kernels for holder in ending)
        return fitting(asked, agent, free, left) >= enough

    small_first = sorted(holders, key=lambda holder: (_share(holder, agent), holder.session))
    for size in (1, 2):
        if size == 1 or len(holders) <= _PAIRED:
            for ending in combinations(small_first, size):
                if suffices(ending):
                    return ending
    if not suffices(small_first):
        return ()
    kept = small_first
    # The smallest are let off first, so that few are left.
    for holder in small_first:
        without = [other for other in kept if other is not holder]
        if suffices(without):
            kept = without
    return tuple(kept)


def _share(holder: Holder, agent: AgentData) -> float:
    return sum(
        amount / agent.capacity[slot]
        for slot, amount in holder.slots.items()
        if agent.capacity.get(slot)
    )


def _ends(holder: Holder) -> str:
    told = ", ".join(
        f"{name} {f'{amount / DEVICE:g}' if name not in ('mem', 'disk') else spoken(name, amount)}"
        for name, amount in slot_math.by_family(holder.slots).items()
    )
    return f"session {holder.session} ends, which holds {told} there"
