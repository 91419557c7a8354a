"""How long a new leader of a large cluster at work reads before it places: what a take-over adds to its notice."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from benchmarks import placing
from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.leader.stage import Stage

_AGENTS: Final = 5_000
_LOADS: Final = 5
_PAGE: Final = 2_000
_PLACING_S: Final = 120.0


def measure(scale: Scale) -> dict[str, float]:
    """From a won election to the first placement, over agents that are all at work and a queue."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        stage.admit(placing.agents(_AGENTS))
        for start in range(0, scale.placed + _PAGE, _PAGE):
            stage.sessions.submit([placing.spec(n) for n in range(start, start + _PAGE)])
        first = stage.lead()
        placing.place(first, scale.placed - first.dispatcher.counts.placed, _PLACING_S)
        took = [_load(stage) for _ in range(_LOADS)]
    return {"load_placed_20000_ms": percentile(took, 50)}


def _load(stage: Stage) -> float:
    began = perf_counter()
    reign = stage.lead()
    while not reign.dispatcher.counts.placed:
        reign.run_once()
    return 1000 * (perf_counter() - began)
