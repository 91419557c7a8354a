"""Fills a cluster with tasks drawn from a trace: how much of its GPUs each selector gets allocated.

The method of Weng et al. (USENIX ATC 2023): tasks are drawn with replacement until the GPUs asked for
are so many times the cluster's, and placed one at a time; what fits nowhere is dropped, nothing ends.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.leader.rehearsal import FIFO, Plugin, Rehearsal, asked_by
from scheduler.leader.trace import Node, Task

#: Loads at which it is looked at, in GPUs asked for per GPU there is.
LOADS: Final = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)


@dataclass(frozen=True, slots=True)
class Saturated:
    """What one selector got allocated."""

    selector: str
    seed: int
    drawn: int
    dropped: int
    allocated: Mapping[float, float]  #: percent of all GPUs, by load
    cpu_us: float  #: of this process per task, deciding alone


def saturate(
    nodes: Sequence[Node], tasks: Sequence[Task], selector: Plugin, *, load: float, seed: int
) -> Saturated:
    """Draw and place until the load is reached. Raises InvalidInput, UnknownPlugin, InvalidSetting."""
    cluster = Rehearsal(nodes, FIFO, selector)
    if not cluster.gpus or not any(map(asked_by, tasks)):
        raise InvalidInput(problem="nothing can be saturated: the nodes or the tasks have no GPU")
    marks = [mark for mark in LOADS if mark < load] + [load]
    drawing = random.Random(seed)  # noqa: S311 - a seed, so that it can be repeated
    found: dict[float, float] = {}
    asked = given = drawn = dropped = 0
    began = process_time()
    while marks:
        task = drawing.choice(tasks)
        asked, drawn = asked + asked_by(task), drawn + 1
        session = cluster.arrive(task)
        placed, _ = cluster.place()
        if placed:
            given += asked_by(task)
        else:
            cluster.snapshot.waiting.discard(session.id)
            dropped += 1
        while marks and asked >= marks[0] * cluster.gpus:
            found[marks.pop(0)] = round(100 * given / cluster.gpus, 2)
    cpu_us = round(1e6 * (process_time() - began) / drawn, 1)
    return Saturated(str(selector), seed, drawn, dropped, found, cpu_us)
