"""The budgets of docs/architecture.md as data, and whether a run holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Comparison = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Budget:
    """One bound on one figure."""

    what: str
    key: str
    comparison: Comparison
    bound: float
    unit: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run stands to one budget."""

    budget: Budget
    measured: float | None
    holds: bool | None  #: None: it was not measured
    says: str


_CEILING: Final = "of the ceiling"
_RQ: Final = "times RQ's"

BUDGETS: Final[Sequence[Budget]] = (
    Budget(
        "placements, 5,000 agents",
        "place_to_ceiling",
        *("at least", 0.10, _CEILING),
        "with everything in a commit and nothing decided it is 0.20; later 0.15",
    ),
    Budget(
        "placements, 10,000 agents to 1,000",
        "place_10000_to_1000",
        *("at least", 0.8, "times"),
        "the cost of a decision must not grow with the cluster",
    ),
    Budget(
        "placements, whole policy",
        "place_policy_to_ceiling",
        *("at least", 0.06, _CEILING),
        "100,000 waiting of 200 users, DRF, dispersed, all validators, labels on a tenth",
    ),
    Budget(
        "edges of a graph resolved",
        "graph_ready_per_s",
        *("at least", 10_000.0, "edges/s"),
        "100,000 edges; a fan of 10,000 is READY within a second",
    ),
    Budget(
        "offices, slowest to fastest",
        "office_fairness",
        *("at least", 0.9, "times"),
        "50 offices with equal jobs, one of them with 10,000 more of higher priority",
    ),
    Budget(
        "cycle, 100,000 refused and asleep",
        "cycle_idle_ms",
        *("at most", 5.0, "ms"),
        "what sleeps must cost nothing",
    ),
    Budget(
        "explain, p99",
        "explain_p99_ms",
        *("at most", 50.0, "ms"),
        "with 100,000 refused sessions",
    ),
    Budget(
        "submit, batched",
        "submit_many_to_ceiling",
        *("at least", 0.3, _CEILING),
        "a bare one reaches 1.1",
    ),
    Budget(
        "submit, single",
        "submit_one_to_rq",
        *("at least", 1.0, _RQ),
        "RQ's enqueue, one by one",
    ),
    Budget(
        "no-op callables, end to end",
        "end_to_end_to_rq",
        *("at least", 5.0, _RQ),
        "two stock SimpleWorkers; later 1x Dramatiq",
    ),
    Budget(
        "submit to running, p50",
        "submit_to_running_p50_to_rq",
        *("at most", 1.0, _RQ),
        "stock RQ's fork worker, enqueue to start",
    ),
    Budget(
        "submit to running, p99",
        "submit_to_running_p99_ms",
        *("at most", 50.0, "ms"),
        "on an idle cluster",
    ),
    Budget(
        "take-over after kill, p99",
        "takeover_kill_p99_ms",
        *("at most", 1_000.0, "ms"),
        "15 s for the Kubernetes family",
    ),
    Budget(
        "take-over after stop, p99",
        "takeover_stop_p99_ms",
        *("at most", 3_500.0, "ms"),
        "the lock's TTL of 3 s, and 0.5 s",
    ),
    Budget(
        "a term begins, 20,000 placed",
        "load_placed_20000_ms",
        *("at most", 700.0, "ms"),
        "on 5,000 agents, to its first placement: with 0.3 s to notice a death, a take-over within 1 s",
    ),
    Budget(
        "beats of 10,000 agents",
        "beats_share_10000",
        *("at most", 0.05, "of a core"),
        "of Redis, by commandstats",
    ),
    Budget(
        "memory per waiting session",
        "bytes_per_waiting_session",
        *("at most", 1_536.0, "bytes"),
        "a bare record takes 0.85 KiB",
    ),
    Budget(
        "one script, p99",
        "script_p99_ms",
        *("at most", 10.0, "ms"),
        "Lua blocks Redis",
    ),
    Budget(
        "submits over HTTP",
        "api_submit_per_s",
        *("at least", 300.0, "per s"),
        "one by one, 8 clients, one API process; the clients take the other core",
    ),
    Budget(
        "reads over HTTP, p99",
        "api_read_p99_ms",
        *("at most", 50.0, "ms"),
        "a job or a page of 20, while 200 jobs a second are submitted",
    ),
    Budget(
        "idle replica",
        "idle_replica_core_share",
        *("at most", 0.01, "of a core"),
        "a follower that only looks",
    ),
)

#: name -> (numerator, denominator): both must come from the same run.
RATIOS: Final[Mapping[str, tuple[str, str]]] = {
    "place_to_ceiling": ("place_per_s_5000", "ceiling_near_placement_5000_per_s"),
    "place_policy_to_ceiling": ("place_per_s_policy", "ceiling_near_policy_per_s"),
    "place_10000_to_1000": ("place_per_s_10000", "place_per_s_1000"),
    "submit_many_to_ceiling": ("submit_many_per_s", "ceiling_near_submission_per_s"),
    "submit_one_to_rq": ("submit_one_per_s", "rq_enqueue_per_s"),
    "end_to_end_to_rq": ("end_to_end_per_s", "rq_simple_per_s"),
    "submit_to_running_p50_to_rq": ("submit_to_running_p50_ms", "rq_fork_pickup_p50_ms"),
}


def with_ratios(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures, and every ratio both of whose parts were measured."""
    ratios = {
        name: figures[above] / figures[below]
        for name, (above, below) in RATIOS.items()
        if above in figures and figures.get(below)
    }
    return {**figures, **ratios}


def verdicts(figures: Mapping[str, float]) -> list[Verdict]:
    """How a run stands to each budget."""
    return [_judge(budget, figures.get(budget.key)) for budget in BUDGETS]


def _judge(budget: Budget, measured: float | None) -> Verdict:
    if measured is None:
        return Verdict(budget, None, None, "not measured")
    if budget.comparison == "at least":
        holds = measured >= budget.bound
        missing = 1 - measured / budget.bound
    else:
        holds = measured <= budget.bound
        missing = measured / budget.bound - 1
    says = "holds" if holds else f"misses by {100 * missing:.1f} %"
    return Verdict(budget, measured, holds, says)
