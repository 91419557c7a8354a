"""One catalogue of metrics: what each says, and one number of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

COUNTER, GAUGE = "counter", "gauge"


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric: what it says, by which labels, and whether it only grows."""

    says: str
    labels: tuple[str, ...] = ()
    kind: str = GAUGE


#: name -> declaration, also for the docs' table. Counters get ``_total`` when they are shown.
CATALOGUE: Mapping[str, Declared] = MappingProxyType(
    {
        "scheduler_redis_up": Declared("1 if Redis answers; all other metrics need it"),
        "scheduler_sessions": Declared("Sessions by group and state", ("group", "state")),
        "scheduler_agents": Declared("Agents by group and status", ("group", "status")),
        "scheduler_agents_drained": Declared("Agents that are ready and drained", ("group",)),
        "scheduler_group_paused": Declared("1 while an operator has paused the group", ("group",)),
        "scheduler_longest_ready_seconds": Declared(
            "How long the session has been READY that has waited longest of the first of each priority",
            ("group",),
        ),
        "scheduler_leader_hangs_seconds": Declared(
            "For how long the leader's turn has gone on, where that is 10 s or more; else 0",
            ("group",),
        ),
        "scheduler_group_led": Declared(
            "1 if the group has a leader, this replica or another", ("group",)
        ),
        "scheduler_leads": Declared("1 if this replica leads the group", ("group",)),
        "scheduler_leader_term": Declared("Number of the group's current or last term", ("group",)),
        "scheduler_late_writes": Declared(
            "Writes refused because their leader's term was over", ("group",), COUNTER
        ),
        "scheduler_cycles": Declared(
            "Scheduling cycles that had something to decide", ("group",), COUNTER
        ),
        "scheduler_placed": Declared("Sessions placed", ("group",), COUNTER),
        "scheduler_refused": Declared(
            "Kinds of request that were refused anew, by the rule", ("group", "rule"), COUNTER
        ),
        "scheduler_cycle_busy_seconds": Declared(
            "Time that cycles took together", ("group",), COUNTER
        ),
        "scheduler_cycle_seconds": Declared(
            "How long the last cycles of the term took: median and 99th percentile",
            ("group", "quantile"),
        ),
        "scheduler_events_seq": Declared("Number of the newest event in its epoch"),
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of the catalogue, with its labels in the order declared there."""

    name: str
    value: float
    labels: tuple[str, ...] = ()
