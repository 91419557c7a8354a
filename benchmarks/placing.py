"""What measurements of placing share: agents, sessions of several kinds, and the placing itself."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Final

from scheduler.domain.slots import DEVICE
from scheduler.domain.spec import SessionSpec
from scheduler.leader.stage import StagedAgent, StagedReign

#: Eight shapes of request; with ten keypairs they are eighty kinds.
SHAPES: Final[tuple[Mapping[str, str], ...]] = (
    {"cpu": "1", "mem": "1GiB"},
    {"cpu": "2", "mem": "2GiB"},
    {"cpu": "500m", "mem": "512MiB"},
    {"cpu": "4", "mem": "8GiB"},
    {"cpu": "1", "mem": "4GiB", "cuda.shares": "250"},
    {"cpu": "2", "mem": "8GiB", "cuda.shares": "500"},
    {"cpu": "4", "mem": "16GiB", "cuda.device": "1"},
    {"cpu": "250m", "mem": "256MiB"},
)
KEYPAIRS: Final = 10
_GPU_EVERY: Final = 2
#: Turns without a placement after which nothing more is to be expected.
_IDLE_TURNS: Final = 3


def agents(count: int) -> list[StagedAgent]:
    """Machines of 128 cores and 1 TiB, every second with eight accelerators: none gets full."""
    plain = {"cpu": 128_000, "mem": 1_048_576}
    devices = {f"cuda.{index}": DEVICE for index in range(8)}
    return [
        StagedAgent(f"agent-{n:05}", plain | (devices if n % _GPU_EVERY == 0 else {}))
        for n in range(count)
    ]


def spec(number: int, *, keypair: str = "", priority: int = 10) -> SessionSpec:
    """A typical session: one call with two arguments, two scopes, one of the kinds."""
    return SessionSpec(
        callable="package.module:function",
        args=[number, f"s3://bucket/part-{number:06}"],
        name=f"part-{number:06}",
        slots=SHAPES[number % len(SHAPES)],
        keypair=keypair or f"team-{number // len(SHAPES) % KEYPAIRS}",
        priority=priority,
    )


def place(reign: StagedReign, count: int, within: float) -> float:
    """Placements per second, until so many are placed or the time (s) is over.

    Raises RuntimeError where they find no room: turns that wait would be measured.
    """
    counts, idle = reign.dispatcher.counts, 0
    before, started = counts.placed, perf_counter()
    while counts.placed - before < count and perf_counter() - started < within:
        last = counts.placed
        reign.run_once()
        idle = idle + 1 if counts.placed == last else 0
        if idle == _IDLE_TURNS and reign.settled:
            raise RuntimeError(f"only {counts.placed - before} of {count} sessions found room")
    return (counts.placed - before) / (perf_counter() - started)
