"""Last in, first out, within priority bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from scheduler.cycle.sequencers.bands import BandOptions
from scheduler.cycle.sequencers.queue import QueueScheduler
from scheduler.plugins.interfaces import Candidate
from scheduler.plugins.options import SCHEDULER_OPTS, read_options


class LifoScheduler(QueueScheduler):
    """Higher priority first; within a band what was submitted last."""

    name: ClassVar[str] = "lifo"
    resumes = True

    def __init__(self, opts: Mapping[str, Any]) -> None:
        super().__init__(read_options(BandOptions, opts, self.name, SCHEDULER_OPTS))

    def turn(self, candidate: Candidate) -> int:
        return -candidate.seq
