"""Slots: integers inside, units only at the edge (cpu in milli, mem and disk in MiB, devices 1000 milli each)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

from scheduler.domain.errors import InvalidSlots
from scheduler.domain.ids import shown

DEVICE = 1000
MOST_DEVICES = 64
#: Sums of slots stay exact in Lua's doubles below this.
LARGEST = 2**53 - 1
_BYTES = {
    "": Decimal(1),
    "MiB": Decimal(1),
    "GiB": Decimal(1024),
    "TiB": Decimal(1024**2),
    "KiB": Decimal(1) / 1024,
}
_BYTES |= {"M": Decimal(10**6) / 2**20, "G": Decimal(10**9) / 2**20, "T": Decimal(10**12) / 2**20}
_BYTES |= {"MB": _BYTES["M"], "GB": _BYTES["G"], "TB": _BYTES["T"]}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,30}")

Slots = Mapping[str, int]


@lru_cache(maxsize=4096)
def _amount(name: str, text: str) -> int:
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise InvalidSlots(
            problem=f"{name}={shown(text)} is not a positive number with a unit, such as 2 or 256MiB"
        )
    value = Decimal(match[1]) * _scale(name, match[2])
    if value <= 0:
        raise InvalidSlots(problem=f"{name}={shown(text)} must be more than zero")
    if value > LARGEST:
        raise InvalidSlots(problem=f"{name}={shown(text)} is more than any machine has")
    if name.endswith(".device") and value != int(value):
        raise InvalidSlots(
            problem=f"{name}={shown(text)} must be whole; ask for a part of a device by {name[:-6]}shares"
        )
    # A request is rounded up: half a MiB asked for is one MiB held.
    return int(value) if value == int(value) else int(value) + 1


def _scale(name: str, unit: str) -> Decimal:
    if name in ("mem", "disk"):
        if unit not in _BYTES:
            raise InvalidSlots(
                problem=f"unit {shown(unit)} of {name} is unknown; use MiB, GiB or TiB"
            )
        return _BYTES[unit]
    if name == "cpu":
        if unit not in ("", "m"):
            raise InvalidSlots(
                problem=f"unit {shown(unit)} of cpu is unknown; use a number of cores, or milli as 500m"
            )
        return Decimal(1 if unit == "m" else 1000)
    family, _, kind = name.partition(".")
    if (
        kind not in ("shares", "device")
        or not _FAMILY.fullmatch(family)
        or family in ("cpu", "mem", "disk")
    ):
        raise InvalidSlots(
            problem=f"slot {shown(name)} is unknown; there are cpu, mem, disk, and FAMILY.device or FAMILY.shares"
        )
    if unit:
        raise InvalidSlots(problem=f"{name} takes no unit, got {shown(unit)}")
    return Decimal(1)


def parse_request(slots: Mapping[str, str | int]) -> dict[str, int]:
    """Read what a kernel asks for, e.g. ``{"cpu": "1", "mem": "256MiB", "cuda.shares": 460}``.

    Returns integers by name: cpu in milli, mem and disk in MiB, ``X.shares`` in milli of one
    device, ``X.device`` in whole devices. Raises InvalidSlots.
    """
    parsed = {}
    for name, value in slots.items():
        if not isinstance(name, str):
            raise InvalidSlots(
                problem=f"slot {shown(name)} is unknown; names are texts such as cpu"
            )
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InvalidSlots(problem=f"{name}={shown(value)} must be text or an integer")
        if isinstance(value, int) and value > LARGEST:
            raise InvalidSlots(problem=f"{name}={shown(value)} is more than any machine has")
        parsed[name] = _amount(name, str(value))
    if not parsed:
        raise InvalidSlots(problem="a kernel must ask for at least one slot, such as cpu=1")
    for name, value in parsed.items():
        family, _, kind = name.partition(".")
        if kind == "shares" and value > DEVICE:
            raise InvalidSlots(
                problem=f"{name}={value} is more than one device has ({DEVICE}); ask for {family}.device"
            )
        if kind == "shares" and f"{family}.device" in parsed:
            raise InvalidSlots(problem=f"ask for {family}.shares or {family}.device, not both")
    return parsed


def parse_pairs(text: str) -> dict[str, str]:
    """Read the command line's form, ``cpu=1,mem=256MiB``. Raises InvalidSlots."""
    pairs: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name or not value:
            raise InvalidSlots(problem=f"expected NAME=AMOUNT, got {shown(part)}")
        if name in pairs:
            raise InvalidSlots(problem=f"{name} is given twice")
        pairs[name] = value
    return pairs


def parse_capacity(text: str) -> tuple[dict[str, int], dict[str, str]]:
    """Read what an agent has, e.g. ``cpu=4,mem=8GiB,cuda=8:V100``.

    Returns device slots (``cuda.0`` ... each 1000 milli) and the model by family. Raises InvalidSlots.
    """
    capacity: dict[str, int] = {}
    models: dict[str, str] = {}
    for name, value in parse_pairs(text).items():
        if name in ("cpu", "mem", "disk"):
            capacity[name] = _amount(name, value)
            continue
        count, _, model = value.partition(":")
        if (
            not _FAMILY.fullmatch(name)
            or not (count.isascii() and count.isdigit())
            or not 1 <= int(count) <= MOST_DEVICES
        ):
            raise InvalidSlots(
                problem=f"{name}={value!r} is no slot; accelerators are FAMILY=COUNT[:MODEL], at most {MOST_DEVICES}"
            )
        capacity |= {f"{name}.{index}": DEVICE for index in range(int(count))}
        if model:
            models[name] = model
    if not capacity:
        raise InvalidSlots(problem="an agent must offer at least one slot, such as cpu=4,mem=8GiB")
    return capacity, models


def parse_limits(text: str) -> dict[str, int]:
    """Read limits by family, e.g. ``cpu=8,mem=32GiB,cuda=2`` or ``cuda=0.5``; 0 is a limit, too.

    Returns cpu in milli, mem and disk in MiB, accelerators in milli of devices. Raises InvalidSlots.
    """
    limits = {}
    for family, value in parse_pairs(text).items():
        if "." in family or not _FAMILY.fullmatch(family):
            raise InvalidSlots(
                problem=f"slot {shown(family)} is unknown; limits are of cpu, mem, disk, and accelerators as cuda=2"
            )
        match = _AMOUNT.fullmatch(value.strip())
        if not match:
            raise InvalidSlots(
                problem=f"{family}={shown(value)} is not a number with a unit, such as 2 or 32GiB; it is 0 or more"
            )
        if family not in ("cpu", "mem", "disk") and match[2]:
            raise InvalidSlots(problem=f"{family} takes no unit, got {shown(match[2])}")
        scale = _scale(family, match[2]) if family in ("cpu", "mem", "disk") else Decimal(DEVICE)
        # A limit is rounded down, as a request is rounded up.
        limits[family] = int(Decimal(match[1]) * scale)
        if limits[family] > LARGEST:
            raise InvalidSlots(problem=f"{family}={shown(value)} is more than any machine has")
    if not limits:
        raise InvalidSlots(problem="a limit names at least one slot, such as cpu=8")
    return limits


def allocate(request: Slots, free: Slots) -> dict[str, int] | None:
    """Turn a request by family into device slots of one agent, or None where it does not fit.

    A share goes to the device with the least room that still holds it, whole devices to the lowest
    indices; so the same input gives the same answer.
    """
    taken: dict[str, int] = {}
    for name, amount in request.items():
        family, dot, kind = name.partition(".")
        if not dot:
            if free.get(name, 0) < amount:
                return None
            taken[name] = amount
            continue
        share = kind == "shares"
        least, wanted = (amount, 1) if share else (DEVICE, amount)
        prefix = family + "."
        # No generators: half of the sessions of a group of accelerators come by here.
        fitting = [
            (room if share else 0, _index(slot), slot)
            for slot, room in free.items()
            if room >= least and slot.startswith(prefix)
        ]
        if len(fitting) < wanted:
            return None
        if wanted == 1:
            taken[min(fitting)[2]] = least
        else:
            taken |= {slot: least for _, _, slot in sorted(fitting)[:wanted]}
    return taken


def devices(slots: Slots, family: str) -> Iterable[tuple[str, int]]:
    """The device slots of one family, as (name, milli)."""
    prefix = family + "."
    return ((slot, value) for slot, value in slots.items() if slot.startswith(prefix))


@lru_cache(maxsize=4096)
def _index(slot: str) -> int:
    return int(slot.rpartition(".")[2])


def shape_of_free(free: Slots) -> dict[str, int]:
    """Free device slots in the words of a request: whole devices, and the largest share of one."""
    room: dict[str, int] = {}
    for slot, amount in free.items():
        family, dot, _ = slot.partition(".")
        if not dot:
            room[slot] = amount
            continue
        whole, share = f"{family}.device", f"{family}.shares"
        room[whole] = room.get(whole, 0) + (amount >= DEVICE)
        room[share] = max(room.get(share, 0), amount)
    return room


def pareto(shapes: Iterable[Slots]) -> list[dict[str, int]]:
    """The shapes that no other shape covers: few, however many agents there are."""
    kept: list[dict[str, int]] = []
    for candidate in map(dict, shapes):
        if any(covers(other, candidate) for other in kept):
            continue
        kept = [other for other in kept if not covers(candidate, other)] + [candidate]
    return sorted(kept, key=lambda s: sorted(s.items()))


def covers(larger: Slots, smaller: Slots) -> bool:
    """Whether each slot of the smaller is there in the larger."""
    return all(larger.get(name, 0) >= value for name, value in smaller.items())


def family_of(name: str) -> str:
    """The family of a slot that a person names: ``cuda.shares`` is of cuda. Raises ValueError."""
    family = name.partition(".")[0]
    if not _FAMILY.fullmatch(family):
        raise ValueError(f"{family!r} is no slot; write cuda, cpu, mem or disk")
    return family


def by_family(slots: Slots) -> dict[str, int]:
    """Device slots summed by family (``cuda`` in milli), as scopes and shares of use count them."""
    summed: dict[str, int] = {}
    for slot, value in slots.items():
        family = slot.partition(".")[0]
        summed[family] = summed.get(family, 0) + value
    return summed


def asked_by_family(requests: Iterable[Slots]) -> dict[str, int]:
    """What several kernels ask for, summed by family: ``cuda.shares`` and ``cuda.device`` are milli of cuda."""
    summed: dict[str, int] = {}
    for request in requests:
        for name, value in request.items():
            family, _, kind = name.partition(".")
            milli = value * DEVICE if kind == "device" else value
            summed[family] = summed.get(family, 0) + milli
    return summed


def total(requests: Iterable[Slots]) -> dict[str, int]:
    """What several kernels need together on one agent: sums, but the largest share, which one device must hold."""
    summed: dict[str, int] = {}
    for request in requests:
        for name, value in request.items():
            if name.endswith(".shares"):
                summed[name] = max(summed.get(name, 0), value)
            else:
                summed[name] = summed.get(name, 0) + value
    return summed


def whole_devices(requests: Iterable[Slots]) -> dict[str, int]:
    """How many idle devices the shares of several kernels take, laid on them as `allocate` does."""
    rooms: dict[str, list[int]] = {}
    for request in requests:
        for name, value in request.items():
            if name.endswith(".shares"):
                room = rooms.setdefault(name.removesuffix("shares") + "device", [])
                fitting = [index for index, left in enumerate(room) if left >= value]
                if fitting:
                    room[min(fitting, key=room.__getitem__)] -= value
                else:
                    room.append(DEVICE - value)
    return {name: len(room) for name, room in rooms.items()}


def render_kernels(requests: Sequence[Slots]) -> str:
    """What the kernels of a session ask for, for people: equal ones are told once."""
    if len(requests) == 1 or any(request != requests[0] for request in requests):
        return render(total(requests))
    return f"{len(requests)} kernels of {render(requests[0])} on one agent"


def render(slots: Slots) -> str:
    """For people: ``cpu=1 mem=256MiB cuda.shares=460``."""
    return " ".join(f"{name}={render_amount(name, value)}" for name, value in slots.items())


def render_amount(name: str, value: int) -> str:
    """One amount with its unit."""
    if name == "cpu":
        return f"{value / 1000:g}"
    if name in ("mem", "disk"):
        return f"{value // 1024}GiB" if value % 1024 == 0 and value else f"{value}MiB"
    return str(value)


def spoken(name: str, value: int) -> str:
    """One amount in a sentence: ``4 GiB``, ``1.5``."""
    if name in ("mem", "disk"):
        return f"{value // 1024} GiB" if value % 1024 == 0 and value else f"{value} MiB"
    return render_amount(name, value)


def render_family(family: str, value: int) -> str:
    """An amount as scopes count it, with its unit: accelerators in devices."""
    if family in ("mem", "disk"):
        return render_amount(family, value)
    return f"{value // DEVICE}.{value % DEVICE:03}".rstrip("0").rstrip(".")
