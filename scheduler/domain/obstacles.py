"""What keeps a session from an agent: each obstacle with its numbers, and the change that removes it.

A function of what is asked and of one agent's record. A session has no obstacle on an agent exactly
if the cycle could place it there, all its kernels together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from scheduler.domain import slots as slot_math
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.constraints import MODEL, OR, Constraints
from scheduler.domain.fitting import has_label, lay, model_of, without_other_models
from scheduler.domain.slots import Slots, spoken


class ObstacleKind(StrEnum):
    """What sort of thing is in the way."""

    SESSION = "session"  #: it does not wait for an agent
    GROUP = "group"
    DRAINED = "drained"
    STATUS = "status"  #: silent, lost, left, or not admitted yet
    SPOILT = "spoilt"  #: fields of its record make no sense
    DESIGNATION = "designation"
    ARCHITECTURE = "architecture"
    LABEL = "label"
    MODEL = "model"
    KERNELS = "kernels"  #: its limit on kernels
    SLOT = "slot"
    TOGETHER = "together"  #: some of the kernels fit, and not all at a time


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing in the way. Numbers are 0 where nothing is counted; slots in their own units."""

    kind: ObstacleKind
    says: (
        str  #: goes on from the agent's name: "lacks mem 4 GiB (asked 6 GiB, free 2 GiB of 8 GiB)"
    )
    change: str  #: the smallest change that removes it
    name: str = ""  #: of the slot or label
    asked: int = 0
    free: int = 0
    total: int = 0  #: what the agent has, idle
    passes: bool = False  #: whether it goes by itself when kernels there end

    @property
    def short(self) -> int:
        """How much is missing."""
        return max(0, self.asked - self.free)

    @property
    def shortage(self) -> float:
        """How much is missing of what is asked, from 0 to 1; 1 for what cannot be counted."""
        return min(1.0, self.short / self.asked) if self.asked else 1.0


@dataclass(frozen=True)
class Asked:
    """What a session asks of one agent."""

    kernels: tuple[Slots, ...]  #: in the order in which they are laid on it
    constraints: Constraints
    spread: bool = False  #: whether the kernels may go to several agents

    @cached_property
    def sums(self) -> dict[str, int]:
        """What all kernels need at least: sums, and the largest share, which one device must hold."""
        return slot_math.total(self.kernels)


def fitting(asked: Asked, agent: AgentData, free: Slots, kernels: int) -> int:
    """How many kernels find room, beside so many that run there."""
    room = agent.max_kernels - kernels if agent.max_kernels else len(asked.kernels)
    return max(0, min(room, _laid(asked, agent, free)))


def obstacles(asked: Asked, agent: AgentData, kernels: int) -> tuple[Obstacle, ...]:
    """Everything that keeps a session from an agent on which so many kernels run; () for nothing."""
    return (
        *_of_agent(agent),
        *_of_constraints(asked.constraints, agent),
        *_of_room(beside_models(asked, agent), agent, kernels),
    )


def beside_models(asked: Asked, agent: AgentData) -> Asked:
    """What is asked, without models of which the agent has no device: that is an obstacle by itself.

    Room is looked for among the devices it has, or one obstacle would be told as two, and the second be untrue.
    """
    constraints = asked.constraints
    if not constraints.models:
        return asked
    met = tuple(
        (name, values)
        for name, values in constraints.labels
        if not name.endswith(MODEL) or has_label(agent, name, values)
    )
    if met == constraints.labels:
        return asked
    return replace(asked, constraints=replace(constraints, labels=met))


def nearness(found: Sequence[Obstacle]) -> tuple[int, float]:
    """Sorts the nearest miss first: fewest obstacles, then the smallest shortage."""
    return (len(found), sum(obstacle.shortage for obstacle in found))


def miss(asked: Asked, agent: AgentData, kernels: int) -> tuple[int, float]:
    """The nearness of an agent's obstacles, without wording them: thousands are compared by it."""
    if len(asked.kernels) > 1 or agent.max_kernels:
        return nearness(obstacles(asked, agent, kernels))
    count, shortage = nearness((*_of_agent(agent), *_of_constraints(asked.constraints, agent)))
    asked = beside_models(asked, agent)
    for name, left in _short(asked, agent):
        count, shortage = count + 1, shortage + (asked.sums[name] - left) / asked.sums[name]
    return count, shortage


def _of_agent(agent: AgentData) -> Iterator[Obstacle]:
    if agent.drained:
        yield Obstacle(
            ObstacleKind.DRAINED,
            "is drained",
            f"it is undrained: `scheduler agent undrain {agent.id}`",
        )
    if agent.status is not AgentStatus.READY:
        change = "it beats again" if agent.status is AgentStatus.NOT_READY else "it is started anew"
        if agent.status is AgentStatus.WAITING:
            change = f"it is admitted (`scheduler agent show {agent.id}` says what it waits for)"
        yield Obstacle(ObstacleKind.STATUS, f"is {agent.status}", change)
    if agent.unreadable:
        yield Obstacle(
            ObstacleKind.SPOILT,
            f"has a spoilt record ({', '.join(agent.unreadable)})",
            "it is started anew, which writes its record anew",
        )


def _of_constraints(asked: Constraints, agent: AgentData) -> Iterator[Obstacle]:
    if asked.agents_strict and asked.agents and agent.id not in asked.agents:
        yield Obstacle(
            ObstacleKind.DESIGNATION,
            f"is not among the designated ({_some(asked.agents)})",
            "the session designates it, too, or no agent",
        )
    if asked.architecture and agent.architecture != asked.architecture:
        yield Obstacle(
            ObstacleKind.ARCHITECTURE,
            f"lacks architecture {asked.architecture} (it is {agent.architecture or 'unknown'})",
            "the session asks for no architecture",
            asked.architecture,
        )
    for name, values in asked.labels:
        if not has_label(agent, name, values):
            yield _missing(agent, name, OR.join(values))


def _missing(agent: AgentData, name: str, wanted: str) -> Obstacle:
    if name.endswith(MODEL):
        family = name.removesuffix(MODEL)
        found = {
            model_of(agent.models, slot) or "devices without a model"
            for slot, _ in slot_math.devices(agent.capacity, family)
        }
        has = _some(sorted(found)) or f"no {family}"
        change = f"the session asks for no {name}, or for one that is there"
        return Obstacle(ObstacleKind.MODEL, f"lacks {name}={wanted} (it has {has})", change, name)
    has = f"{name}={agent.labels[name]}" if name in agent.labels else "none of that name"
    change = f"the agent is started with `--label {name}={wanted.partition(OR)[0]}`, or the session asks without it"
    return Obstacle(ObstacleKind.LABEL, f"lacks label {name}={wanted} (it has {has})", change, name)


def _of_room(asked: Asked, agent: AgentData, kernels: int) -> Iterator[Obstacle]:
    count = len(asked.kernels)
    room = max(0, agent.max_kernels - kernels) if agent.max_kernels else count
    if room < (1 if asked.spread else count):
        yield _kernel_limit(asked, agent, kernels)
    if count == 1:
        # What each slot lacks is all there is to it; nothing needs to be laid on devices.
        yield from _lacks(asked, agent)
        return
    fits = _laid(asked, agent, agent.free)
    if not asked.spread:
        if fits < count:
            yield from _lacks(asked, agent) or [_together(asked, agent, fits)]
    elif not fits:
        # None goes there even alone: what the kernel lacks that is nearest to fitting.
        alone = (Asked((kernel,), asked.constraints) for kernel in _distinct(asked.kernels))
        yield from min((_lacks(each, agent) for each in alone), key=nearness)
    elif room > 0 and min(fits, room) < count:
        yield _together(asked, agent, min(fits, room))


def _laid(asked: Asked, agent: AgentData, free: Slots) -> int:
    return sum(slots is not None for slots in lay(asked.kernels, free, agent, asked.constraints))


def _kernel_limit(asked: Asked, agent: AgentData, kernels: int) -> Obstacle:
    count = 1 if asked.spread else len(asked.kernels)
    passes = count <= agent.max_kernels
    short = kernels + count - agent.max_kernels
    change = f"{_kernels(short)} there {'ends' if short == 1 else 'end'}"
    if not passes:
        change = (
            f"the agent is started with `--max-kernels {count}`, or the session has fewer kernels"
        )
    return Obstacle(
        ObstacleKind.KERNELS,
        f"takes at most {_kernels(agent.max_kernels)}, runs {kernels}, and is asked for {count} more",
        change,
        asked=count,
        free=max(0, agent.max_kernels - kernels),
        total=agent.max_kernels,
        passes=passes,
    )


def _together(asked: Asked, agent: AgentData, fits: int) -> Obstacle:
    count = len(asked.kernels)
    idle = fitting(asked, agent, agent.capacity, 0)
    if asked.spread:
        change = f"the other {_kernels(count - fits)} find room on other agents"
        if idle == count:
            change += ", or kernels there end"
    elif idle == count:
        change = "kernels there end"
    else:
        change = f"the session has at most {_kernels(idle)}"
    return Obstacle(
        ObstacleKind.TOGETHER,
        f"has room for {fits} of the {_kernels(count)} at a time",
        change,
        asked=count,
        free=fits,
        total=idle,
        passes=idle == count,
    )


def _lacks(asked: Asked, agent: AgentData) -> list[Obstacle]:
    short = sorted(_short(asked, agent), key=lambda each: "." not in each[0])
    if not short:
        return []
    capacity = _accepted(asked, agent, agent.capacity)
    total = slot_math.shape_of_free(capacity)
    return [
        _lack(name, asked.sums[name], left, total.get(name, 0), capacity) for name, left in short
    ]


def _short(asked: Asked, agent: AgentData) -> list[tuple[str, int]]:
    """Slots of which there is less than all kernels need in any case, and how much there is."""
    left = slot_math.shape_of_free(_accepted(asked, agent, agent.free))
    # What is held of a slot that went away with an old boot is less than nothing.
    return [
        (name, max(0, left.get(name, 0)))
        for name, amount in asked.sums.items()
        if left.get(name, 0) < amount
    ]


def _accepted(asked: Asked, agent: AgentData, slots: Slots) -> Slots:
    models = asked.constraints.models
    return without_other_models(slots, agent.models, models) if models else slots


def _lack(name: str, asked: int, left: int, total: int, capacity: Slots) -> Obstacle:
    family, _, kind = name.partition(".")
    short, passes = asked - left, asked <= total
    what = f"{name} {spoken(name, short)}"
    if not total:
        says = f"has no {family} (asked {name} {spoken(name, asked)})"
        change = f"the session asks for no {family}"
    elif kind == "shares":
        says = f"lacks {what} (asked {asked}, the largest free share of a device is {left})"
        change = f"a {family} device there has {short} more free"
    elif kind == "device":
        devices = sum(1 for _ in slot_math.devices(capacity, family))
        says = f"lacks {what} (asked {asked}, {left} of {devices} devices {_are(left)} idle)"
        change = f"{short} more {family} device{'' if short == 1 else 's'} there {_are(short)} idle"
    else:
        says = f"lacks {what} (asked {spoken(name, asked)}, free {spoken(name, left)} of {spoken(name, total)})"
        change = f"{what} more is free there"
    if total and not passes:
        says = says.removesuffix(")") + "; too small even when idle)"
        change = f"the session asks for at most {name} {spoken(name, total)}"
    return Obstacle(ObstacleKind.SLOT, says, change, name, asked, left, total, passes)


def _distinct(kernels: Iterable[Slots]) -> list[Slots]:
    return list({tuple(sorted(kernel.items())): kernel for kernel in kernels}.values())


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _kernels(count: int) -> str:
    return "1 kernel" if count == 1 else f"{count} kernels"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
