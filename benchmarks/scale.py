"""How much of everything a run measures: the whole, or a short look whether it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of things; seconds bound what a slow machine may take for them."""

    ceiling_scripts: int = 300_000
    agents: tuple[int, int, int] = (1_000, 5_000, 10_000)
    placements: int = 10_000
    placing_s: float = 20.0
    submit_many: int = 20_000
    submit_one: int = 2_000
    end_to_end: int = 4_000
    warm_up: int = 400
    latencies: int = 100
    waiting: int = 100_000
    placed: int = 20_000
    kills: int = 10
    stops: int = 5
    beating_agents: int = 10_000
    beating_s: float = 5.0
    idle_s: float = 10.0
    scripts_s: float = 15.0
    growth_agents: Sequence[int] = (100, 300, 1_000, 3_000, 10_000)
    growth_waiting: Sequence[int] = (1_000, 10_000, 100_000)
    growth_placements: int = 1_500
    crowd: int = 10_000
    office_jobs: int = 200
    graph_jobs: int = 11_000
    graph_degree: int = 10
    api_submits: int = 4_000
    api_reads: int = 1_500


QUICK = Scale(
    ceiling_scripts=50_000,
    placements=500,
    placing_s=2.0,
    submit_many=2_000,
    submit_one=200,
    end_to_end=200,
    warm_up=40,
    latencies=10,
    waiting=4_000,
    placed=2_000,
    kills=2,
    stops=1,
    beating_s=1.0,
    idle_s=2.0,
    scripts_s=1.5,
    growth_agents=(100, 1_000, 3_000),
    growth_waiting=(1_000, 4_000),
    growth_placements=500,
    crowd=1_000,
    office_jobs=20,
    graph_jobs=1_100,
    api_submits=300,
    api_reads=150,
)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so many percent do not exceed (nearest rank); of few values, the largest."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]
