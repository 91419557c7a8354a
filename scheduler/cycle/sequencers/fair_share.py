"""Fair share: who used least of the group, lately, goes first, within priority bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from scheduler.cycle.sequencers.shares import ShareOptions, ShareScheduler, Standing
from scheduler.domain.share import DAY_MS, KEPT_DAYS, Usage, Used, dominant_share
from scheduler.domain.slots import family_of
from scheduler.plugins.interfaces import SchedulingContext
from scheduler.plugins.options import SCHEDULER_OPTS, Duration, read_options

Factor = Annotated[float, Field(ge=0, le=1_000_000)]


def _on_record(duration_ms: int) -> int:
    if duration_ms > KEPT_DAYS * DAY_MS:
        raise ValueError(f"use is on record for {KEPT_DAYS} days")
    return duration_ms


def _by_family(weights: Mapping[str, float]) -> Mapping[str, float]:
    return {family_of(name): weight for name, weight in weights.items()}


class FairShareOptions(ShareOptions):
    """What fair share may be told."""

    half_life: Duration = 7 * DAY_MS  #: after which use counts half
    look_back: Annotated[Duration, AfterValidator(_on_record)] = 28 * DAY_MS
    #: By slot: how much its use counts; 1 where none is named, 0 leaves it out.
    resource_weights: Annotated[Mapping[str, Factor], AfterValidator(_by_family)] = Field(
        default_factory=dict
    )


class FairShareScheduler(ShareScheduler):
    """The owner with the highest factor goes first: 2^(-use/weight), so one without use is first.

    Use is slots x time, as a part of what the group has in a day, summed over the families: 1 is all
    that the group has of one family, for a day. It counts half after the half-life, in daily steps; what
    runs counts as far as it got. Who used equally much is ordered by dominant share, so that two owners
    without any use alternate.
    """

    name: ClassVar[str] = "fair-share"
    resumes = True

    def __init__(self, opts: Mapping[str, Any]) -> None:
        options = read_options(FairShareOptions, opts, self.name, SCHEDULER_OPTS)
        super().__init__(options)
        self._decay = 2.0 ** (-DAY_MS / options.half_life)
        self._resource_weights = options.resource_weights
        self.usage_days = -(-options.look_back // DAY_MS)
        #: What was read last, the capacity it was measured against, and by owner what comes of both.
        self._read: tuple[Usage | None, Mapping[str, int]] = (None, {})
        self._decayed: dict[str, float] = {}
        #: By day what was recorded, and by owner which part of the group that is: most days stay as they are.
        self._parts: dict[int, tuple[Used, dict[str, float]]] = {}

    def standing(self, context: SchedulingContext, owner: str) -> Standing:
        weight, held = self.weight(owner), context.held.get(owner, {})
        share = dominant_share(held, context.capacity)
        return (self.use(context, owner) / weight, share / weight)

    def facts(self, context: SchedulingContext, owner: str) -> Mapping[str, float]:
        use, weight = self.use(context, owner), self.weight(owner)
        return {"weight": weight, "use": use, "factor": 2.0 ** (-use / weight)}

    def use(self, context: SchedulingContext, owner: str) -> float:
        """What an owner used, decayed; since it was read last it goes on with what the owner holds."""
        usage = context.usage
        if usage is None:
            return 0.0
        if self._read[0] is not usage or self._read[1] is not context.capacity:
            if self._read[1] is not context.capacity:
                self._parts = {}
            self._read = (usage, context.capacity)
            self._decayed = self._decay_all(usage, context.capacity)
        seconds = max(0, context.now_ms - usage.at_ms) / 1000
        held = context.held.get(owner, {})
        since = self._part(held, context.capacity) * seconds
        return self._decayed.get(owner, 0.0) + since

    def _decay_all(self, usage: Usage, capacity: Mapping[str, int]) -> dict[str, float]:
        today, found = usage.at_ms // DAY_MS, dict[str, float]()
        known, self._parts = self._parts, {}
        # From the oldest on: sums of floats depend on the order, and the next leader's must be the same.
        for day in range(today - self.usage_days + 1, today + 1):
            parts: list[dict[str, float]] = []
            if (recorded := usage.recorded.get(day)) is not None:
                before = known.get(day)
                if before is None or before[0] is not recorded:
                    before = (recorded, self._parts_of(recorded, capacity))
                self._parts[day] = before
                parts.append(before[1])
            if (running := usage.running.get(day)) is not None:
                parts.append(self._parts_of(running, capacity))
            counts = self._decay ** (today - day)
            for by_owner in parts:
                for owner, part in by_owner.items():
                    found[owner] = found.get(owner, 0.0) + counts * part
        return found

    def _parts_of(self, used: Used, capacity: Mapping[str, int]) -> dict[str, float]:
        return {owner: self._part(families, capacity) for owner, families in used.items()}

    def _part(self, families: Mapping[str, int], capacity: Mapping[str, int]) -> float:
        """Of slots x seconds by family: how much of the group's day that is."""
        weights = self._resource_weights
        return sum(
            weights.get(family, 1.0) * amount / (capacity[family] * (DAY_MS // 1000))
            for family, amount in sorted(families.items())
            if capacity.get(family)
        )
