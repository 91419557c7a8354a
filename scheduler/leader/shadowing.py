"""Lets the group's shadow decide beside the policy in force, and counts how it would have differed (K17).

It decides in a sample of the cycles, so that it takes a tenth of the leader's time at most.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy
from scheduler.cycle.shadow import Shadow, compare
from scheduler.cycle.snapshot import Snapshot
from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidInput
from scheduler.domain.group import PLUGIN_OPTS, ScalingGroupOpts, shadowed
from scheduler.domain.moves import Compare
from scheduler.observability.logs import get_logger
from scheduler.plugins.loading import load_agent_selector, load_scheduler

#: After each look it rests for so many times as long as that took: a twentieth of the time, as the
#: selector in force has to catch up with what was tried, which costs half as much again.
_RESTS = 19
#: How long a look should take at most, s: it looks at more sessions while it takes half of that, and at
#: fewer once it takes longer. A selector ranks thousands of agents anew for each kind of request.
_LOOK_S = 0.05
#: A look that takes longer holds up the leader, s; after so many of them in a row the shadow is stopped.
_SLOW_S, _SLOW_IN_A_ROW = 0.5, 3
_WRITE_EVERY_S = 2.0
SAMPLES = 20


class Shadowing:
    """The shadow of one group in one term; without one it does nothing."""

    def __init__(
        self,
        group: str,
        snapshot: Snapshot,
        clock: Clock,
        stored: Callable[[], dict[str, Any] | None],
    ) -> None:
        self._group = group
        self._snapshot = snapshot
        self._clock = clock
        self._stored = stored
        self._shadow: Shadow | None = None
        self._record: dict[str, Any] | None = None
        self._changed = False
        self._write_at = self._look_at = 0.0
        self._slow = 0
        self._limit = self._looked_for = 1
        self._log = get_logger(group=group)

    def change(self, options: ScalingGroupOpts, policy: Policy) -> None:
        """Go on with the shadow of these options, beside this policy; counts are of one pair of them."""
        if self._shadow is not None:
            self._shadow.leave()
        self._shadow, self._slow, self._limit, self._look_at = None, 0, 1, 0.0
        other, known = shadowed(options), self._record or self._stored()
        if other is None:
            self._record, self._changed = None, known is not None
            return
        policies = {"real": _named(options), "shadow": _named(other)}
        if known is None or known["policies"] != policies:
            known = {"policies": policies, "since": 0, "counts": {}, "samples": [], "broken": ""}
        self._record, self._changed, self._write_at = known, True, 0.0
        try:
            self._shadow = Shadow(_policy(other, policy), self._snapshot.waiting)
            known["broken"] = ""
        except InvalidInput as error:
            self._stop(str(error))

    def propose(self, *, limit: int) -> Plan | None:
        """What the shadow would decide now, up to ``limit`` kernels; None where it does not look."""
        shadow = self._shadow
        if shadow is None or self._clock.monotonic() < self._look_at:
            return None
        self._looked_for = min(limit, self._limit)
        began = self._clock.monotonic()
        plan = shadow.propose(self._snapshot, limit=self._looked_for)
        now = self._clock.monotonic()
        took = now - began
        self._look_at = now + _RESTS * took
        self._slow = self._slow + 1 if took > _SLOW_S else 0
        if took > _LOOK_S:
            self._limit = max(1, self._looked_for // 2)
        elif took < _LOOK_S / 2:
            self._limit = 2 * self._looked_for
        if plan.broken:
            self._stop(plan.broken)
        elif self._slow >= _SLOW_IN_A_ROW:
            self._stop(f"it took longer than {_SLOW_S:g} s {_SLOW_IN_A_ROW} times in a row")
        return plan if self._shadow is not None else None

    def compare(self, real: Plan, shadow: Plan, policy: Policy) -> None:
        """Count how the two differ, unless that says nothing of the policies.

        The shadow looked at fewer sessions perhaps: these are compared with as many of the real plan,
        which are what it would have been with the same limit.
        """
        record, hooks = self._record, policy.hooks
        real = _first(real, self._looked_for)
        nothing = not (real.placements or shadow.placements)
        # The shadow cannot ask hooks, and knows only what they refused before.
        refused = {
            request
            for request, verdict in real.refusals.items()
            if any(failure.by in hooks.names for failure in verdict.failures)
        }
        asked = any(p.session.request.id in refused for p in shadow.placements)
        if record is None or nothing or asked or hooks.spent or real.broken:
            return
        found = compare(real, shadow)
        record["counts"] = dict(Counter(record["counts"]) + Counter(found.counts))
        told = [{"at": self._snapshot.now_ms, **asdict(difference)} for difference in found.told]
        record["samples"] = [*record["samples"], *told][-SAMPLES:]
        self._changed = True

    def due(self) -> Sequence[Compare]:
        """What is to be written now; at most each two seconds."""
        now = self._clock.monotonic()
        if not self._changed or now < self._write_at:
            return ()
        self._changed, self._write_at = False, now + _WRITE_EVERY_S
        if self._record is None:
            return (Compare(self._group, ""),)
        self._record["since"] = self._record["since"] or self._snapshot.now_ms
        self._record["until"] = self._snapshot.now_ms
        return (Compare(self._group, json.dumps(self._record, separators=(",", ":"))),)

    def _stop(self, why: str) -> None:
        """It is told, and the policy in force goes on alone, until options change or the term ends."""
        self._log.warning("shadow.stopped", says=why)
        if self._shadow is not None:
            self._shadow.leave()
        self._shadow = None
        if self._record is not None:
            self._record["broken"], self._changed = why, True


def _first(plan: Plan, limit: int) -> Plan:
    """What the plan would have been with this limit of kernels, but for what it refused."""
    placements, left = [], limit
    for placement in plan.placements:
        if left <= 0:
            break
        placements.append(placement)
        left -= len(placement.bindings)
    return replace(plan, placements=placements)


def _named(options: ScalingGroupOpts) -> dict[str, Any]:
    return {name: getattr(options, name) for names in PLUGIN_OPTS.items() for name in names}


def _policy(options: ScalingGroupOpts, real: Policy) -> Policy:
    """Another scheduler and selector, beside the same rules. Raises UnknownPlugin, InvalidSetting."""
    return Policy(
        scheduler=load_scheduler(options.scheduler, options, {}),
        selector=load_agent_selector(options.agent_selector, options, {}),
        validators=real.validators,
        # Who can never run is the business of the policy in force.
        grows=True,
        modes=real.modes,
        hooks=real.hooks.recalled(),
    )
