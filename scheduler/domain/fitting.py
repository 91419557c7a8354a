"""Whether kernels fit on one agent, and which devices they get: what deciding and explaining share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scheduler.domain.agent import AgentData
from scheduler.domain.constraints import MODEL, Constraints
from scheduler.domain.slots import Slots, allocate, devices


def lay(
    kernels: Sequence[Slots], free: Slots, agent: AgentData, constraints: Constraints
) -> Iterator[dict[str, int] | None]:
    """The device slots of each kernel, laid one after the other on what is free of an agent.

    None for a kernel that finds no room; those behind it are tried on what is left.
    """
    if constraints.models:
        free = without_other_models(free, agent.models, constraints.models)
    left = dict(free)
    for request in kernels:
        slots = allocate(request, left)
        yield slots
        for slot, amount in (slots or {}).items():
            left[slot] -= amount


def largest_first(kernels: Sequence[Slots]) -> list[int]:
    """Kernels in the order of what is hard to find: many devices, a large share, much cpu and memory.

    A small kernel fits beside a large one more often than the other way round.
    """
    return sorted(range(len(kernels)), key=lambda kernel: (*_size(kernels[kernel]), kernel))


def _size(slots: Slots) -> tuple[int, ...]:
    whole = sum(amount for name, amount in slots.items() if name.endswith(".device"))
    shares = sum(amount for name, amount in slots.items() if name.endswith(".shares"))
    return (-whole, -shares, *(-slots.get(name, 0) for name in ("cpu", "mem", "disk")))


def has_label(agent: AgentData, name: str, values: Sequence[str]) -> bool:
    """Whether an agent has one of the values of a label; of a model, whether any of its devices is one."""
    if not name.endswith(MODEL):
        return agent.labels.get(name) in values
    family = name.removesuffix(MODEL)
    return any(
        model_of(agent.models, slot) in values for slot, _ in devices(agent.capacity, family)
    )


def model_of(models: Mapping[str, str], slot: str) -> str:
    """The model of a device: its own, else that of all devices of its family."""
    return models.get(slot) or models.get(slot.partition(".")[0], "")


def without_other_models(
    free: Slots, models: Mapping[str, str], accepted: Mapping[str, frozenset[str]]
) -> dict[str, int]:
    """What is free, without the devices whose model is not among the accepted."""
    return {
        slot: amount
        for slot, amount in free.items()
        if (wanted := accepted.get(slot.partition(".")[0])) is None
        or model_of(models, slot) in wanted
    }
