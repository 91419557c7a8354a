"""What keeps a session from an agent, in exact words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.constraints import ANYWHERE, Constraints
from scheduler.domain.obstacles import Asked, Obstacle, ObstacleKind, miss, nearness, obstacles
from scheduler.domain.slots import DEVICE

GIB = 1024
A7 = AgentData(
    id="a7",
    group="default",
    boot="b" * 32,
    status=AgentStatus.READY,
    drained=False,
    capacity={"cpu": 4_000, "mem": 8 * GIB} | {f"cuda.{i}": DEVICE for i in range(4)},
    free={
        "cpu": 1_500,
        "mem": 2 * GIB,
        "cuda.0": 300,
        "cuda.1": 100,
        "cuda.2": DEVICE,
        "cuda.3": 0,
    },
    models={"cuda": "A100"},
    labels={"zone": "b"},
    architecture="x86_64",
)
BUSY = replace(A7, free={**A7.free, "cuda.2": 0})


def one(**slots: int) -> Asked:
    """One kernel; __ in a name stands for the dot."""
    return Asked(({name.replace("__", "."): amount for name, amount in slots.items()},), ANYWHERE)


def where(**asked: Any) -> Asked:
    """One small kernel with constraints."""
    return Asked(({"cpu": 1},), Constraints(**asked))


def gang(count: int, *, spread: bool = False, **slots: int) -> Asked:
    """Equal kernels."""
    return Asked(one(**slots).kernels * count, ANYWHERE, spread)


CASES: list[tuple[Asked, AgentData, int, str, str]] = [
    (
        one(mem=6 * GIB),
        A7,
        0,
        "lacks mem 4 GiB (asked 6 GiB, free 2 GiB of 8 GiB)",
        "mem 4 GiB more is free there",
    ),
    (
        one(mem=2 * GIB + 1),
        A7,
        0,
        "lacks mem 1 MiB (asked 2049 MiB, free 2 GiB of 8 GiB)",
        "mem 1 MiB more is free there",
    ),
    (
        one(cpu=2_000),
        A7,
        0,
        "lacks cpu 0.5 (asked 2, free 1.5 of 4)",
        "cpu 0.5 more is free there",
    ),
    (
        one(cpu=64_000),
        A7,
        0,
        "lacks cpu 62.5 (asked 64, free 1.5 of 4; too small even when idle)",
        "the session asks for at most cpu 4",
    ),
    (
        one(cuda__shares=460),
        BUSY,
        0,
        "lacks cuda.shares 160 (asked 460, the largest free share of a device is 300)",
        "a cuda device there has 160 more free",
    ),
    (
        one(cuda__device=2),
        A7,
        0,
        "lacks cuda.device 1 (asked 2, 1 of 4 devices is idle)",
        "1 more cuda device there is idle",
    ),
    (
        one(cuda__device=4),
        BUSY,
        0,
        "lacks cuda.device 4 (asked 4, 0 of 4 devices are idle)",
        "4 more cuda devices there are idle",
    ),
    (
        one(cuda__device=8),
        A7,
        0,
        "lacks cuda.device 7 (asked 8, 1 of 4 devices is idle; too small even when idle)",
        "the session asks for at most cuda.device 4",
    ),
    (
        one(rocm__device=1),
        A7,
        0,
        "has no rocm (asked rocm.device 1)",
        "the session asks for no rocm",
    ),
    (one(disk=GIB), A7, 0, "has no disk (asked disk 1 GiB)", "the session asks for no disk"),
    (
        one(cpu=1),
        replace(A7, max_kernels=4),
        4,
        "takes at most 4 kernels, runs 4, and is asked for 1 more",
        "1 kernel there ends",
    ),
    (
        gang(3, cpu=1),
        replace(A7, max_kernels=4),
        3,
        "takes at most 4 kernels, runs 3, and is asked for 3 more",
        "2 kernels there end",
    ),
    (
        gang(3, cpu=1),
        replace(A7, max_kernels=2),
        0,
        "takes at most 2 kernels, runs 0, and is asked for 3 more",
        "the agent is started with `--max-kernels 3`, or the session has fewer kernels",
    ),
    (
        gang(3, cuda__shares=800),
        A7,
        0,
        "has room for 1 of the 3 kernels at a time",
        "kernels there end",
    ),
    (
        gang(5, cuda__shares=800),
        A7,
        0,
        "has room for 1 of the 5 kernels at a time",
        "the session has at most 4 kernels",
    ),
    (
        gang(3, spread=True, cpu=1_000),
        A7,
        0,
        "has room for 1 of the 3 kernels at a time",
        "the other 2 kernels find room on other agents, or kernels there end",
    ),
    (
        gang(3, spread=True, cpu=2_000),
        A7,
        0,
        "lacks cpu 0.5 (asked 2, free 1.5 of 4)",
        "cpu 0.5 more is free there",
    ),
    (
        where(labels=(("zone", ("a", "c")),)),
        A7,
        0,
        "lacks label zone=a|c (it has zone=b)",
        "the agent is started with `--label zone=a`, or the session asks without it",
    ),
    (
        where(labels=(("rack", ("r1",)),)),
        A7,
        0,
        "lacks label rack=r1 (it has none of that name)",
        "the agent is started with `--label rack=r1`, or the session asks without it",
    ),
    (
        where(labels=(("cuda.model", ("V100",)),)),
        A7,
        0,
        "lacks cuda.model=V100 (it has A100)",
        "the session asks for no cuda.model, or for one that is there",
    ),
    (
        where(labels=(("rocm.model", ("MI300",)),)),
        A7,
        0,
        "lacks rocm.model=MI300 (it has no rocm)",
        "the session asks for no rocm.model, or for one that is there",
    ),
    (
        where(architecture="aarch64"),
        A7,
        0,
        "lacks architecture aarch64 (it is x86_64)",
        "the session asks for no architecture",
    ),
    (
        where(agents=("a1", "a2", "a3", "a4")),
        A7,
        0,
        "is not among the designated (a1, a2, a3 and 1 more)",
        "the session designates it, too, or no agent",
    ),
    (
        one(cpu=1),
        replace(A7, drained=True),
        0,
        "is drained",
        "it is undrained: `scheduler agent undrain a7`",
    ),
    (one(cpu=1), replace(A7, status=AgentStatus.NOT_READY), 0, "is not-ready", "it beats again"),
    (one(cpu=1), replace(A7, status=AgentStatus.LOST), 0, "is lost", "it is started anew"),
    (
        one(cpu=1),
        replace(A7, status=AgentStatus.WAITING),
        0,
        "is waiting",
        "it is admitted (`scheduler agent show a7` says what it waits for)",
    ),
    (
        one(cpu=1),
        replace(A7, unreadable=("models", "labels")),
        0,
        "has a spoilt record (models, labels)",
        "it is started anew, which writes its record anew",
    ),
]


@pytest.mark.parametrize(("asked", "agent", "kernels", "says", "change"), CASES)
def test_each_obstacle_is_told_with_its_numbers_and_the_change_that_removes_it(
    asked: Asked, agent: AgentData, kernels: int, says: str, change: str
) -> None:
    """X3."""
    assert [(says, change)] == [(o.says, o.change) for o in obstacles(asked, agent, kernels)]


def test_all_obstacles_are_told_and_accelerators_before_cpu_and_mem() -> None:
    asked = Asked(
        ({"cpu": 2_000, "cuda.device": 2, "mem": 6 * GIB},), Constraints(architecture="aarch64")
    )

    found = obstacles(asked, replace(A7, drained=True), 0)

    assert ["drained", "architecture", "slot", "slot", "slot"] == [str(o.kind) for o in found]
    assert ["cuda.device", "cpu", "mem"] == [o.name for o in found[2:]]


def test_devices_of_which_none_is_of_the_model_are_one_obstacle_and_not_two() -> None:
    """It has cuda, and would have room for the session but for the model."""
    labels = (("cuda.model", ("V100",)),)
    one, two = (Asked(({"cuda.device": n},), Constraints(labels=labels)) for n in (1, 2))

    assert ["lacks cuda.model=V100 (it has A100)"] == [o.says for o in obstacles(one, A7, 0)]
    assert [
        "lacks cuda.model=V100 (it has A100)",
        "lacks cuda.device 1 (asked 2, 1 of 4 devices is idle)",
    ] == [o.says for o in obstacles(two, A7, 0)]
    assert miss(two, A7, 0) == nearness(obstacles(two, A7, 0))


def test_devices_of_other_models_are_no_room() -> None:
    mixed = replace(A7, models={"cuda": "A100", "cuda.0": "V100"})
    asked = Asked(({"cuda.shares": 400},), Constraints(labels=(("cuda.model", ("V100",)),)))

    (found,) = obstacles(asked, mixed, 0)

    assert (400, 300, DEVICE, 100, True) == (
        found.asked,
        found.free,
        found.total,
        found.short,
        found.passes,
    )


def test_the_nearest_miss_has_the_fewest_obstacles_and_then_the_smallest_shortage() -> None:
    def slot(free: int) -> Obstacle:
        return Obstacle(ObstacleKind.SLOT, "", "", "cpu", asked=100, free=free)

    drained = Obstacle(ObstacleKind.DRAINED, "", "")
    misses = [(slot(90), slot(90)), (drained,), (slot(10),), (slot(50),), ()]

    assert [(), (slot(50),), (slot(10),), (drained,), (slot(90), slot(90))] == sorted(
        misses, key=nearness
    )
