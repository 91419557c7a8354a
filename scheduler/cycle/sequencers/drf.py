"""Dominant resource fairness (Ghodsi et al., NSDI 2011), within priority bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from scheduler.cycle.sequencers.shares import ShareOptions, ShareScheduler, Standing
from scheduler.domain.share import dominant_share
from scheduler.plugins.interfaces import SchedulingContext
from scheduler.plugins.options import SCHEDULER_OPTS, read_options


class DrfScheduler(ShareScheduler):
    """The owner with the lowest dominant share, divided by its weight, goes first.

    That share is the largest part of any slot of the group that all its placed sessions hold together.
    """

    name: ClassVar[str] = "drf"
    resumes = True

    def __init__(self, opts: Mapping[str, Any]) -> None:
        super().__init__(read_options(ShareOptions, opts, self.name, SCHEDULER_OPTS))

    def standing(self, context: SchedulingContext, owner: str) -> Standing:
        share = dominant_share(context.held.get(owner, {}), context.capacity)
        return (share / self.weight(owner),)
