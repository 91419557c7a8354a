"""How fast a graph comes into being, and how fast the ends of its jobs ready those that need them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, cast

from benchmarks.scale import Scale, percentile
from benchmarks.server import own_redis
from scheduler.domain.clock import SystemClock
from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.graph import GraphJob, GraphSpec
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.domain.moves import Settle
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.leader.stage import Stage, StagedReign
from scheduler.leader.writer import BATCH
from scheduler.store.graphs import GraphRepository
from scheduler.store.leadership import LeaderStore

_LAYERS: Final = 11
#: READY jobs that are ended before their dependents are told.
_ENDED: Final = 2_000


@dataclass(slots=True)
class Played:
    """How the jobs of a graph came to be READY."""

    ready: list[str] = field(default_factory=list)  #: in the order they were ended
    resolving_s: float = 0.0  #: what the leader took to tell their dependents
    steps: list[float] = field(default_factory=list)  #: seconds of each of its steps


def measure(scale: Scale) -> dict[str, Any]:
    """Jobs loaded and shown per second, and edges resolved per second through the leader's own code."""
    graph = layers(scale.graph_jobs, scale.graph_degree)
    edges = sum(len(job.needs) for job in graph.jobs)
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        reign = stage.lead()
        started = perf_counter()
        graph_id = submit(stage, graph)
        loaded = perf_counter()
        unroll(reign)
        shown = perf_counter()
        played = play(stage, reign)
        jobs = repository(stage).read(graph_id).jobs
        if len(played.ready) != jobs:
            raise RuntimeError(f"only {len(played.ready)} of {jobs} jobs became READY")
    return {
        "graph_load_per_s": jobs / (loaded - started),
        "graph_show_per_s": jobs / (shown - loaded),
        "graph_ready_per_s": edges / played.resolving_s,
        "graph_step_p99_ms": 1000 * percentile(played.steps, 99),
    }


def layers(jobs: int, degree: int) -> GraphSpec:
    """Jobs in layers; each needs so many of the layer before its own."""
    width = jobs // _LAYERS
    needs: dict[str, list[str]] = {}
    for number in range(width * _LAYERS):
        layer, place = divmod(number, width)
        above = [(layer - 1) * width + (place + step) % width for step in range(degree)]
        needs[f"job-{number:06}"] = [f"job-{n:06}" for n in above] if layer else []
    return graph_of(needs)


def graph_of(needs: Mapping[str, Sequence[str]]) -> GraphSpec:
    """A graph of no-ops whose jobs go on however the ones they need end."""
    spec = SessionSpec(callable="package.module:function", args=[1])
    return GraphSpec(
        jobs=[
            GraphJob(name=name, spec=spec, needs=dict.fromkeys(above, EdgePolicy.IGNORE))
            for name, above in needs.items()
        ]
    )


def submit(stage: Stage, graph: GraphSpec) -> str:
    """Load it and seal it."""
    return repository(stage).submit(graph, graph.specs())


def repository(stage: Stage) -> GraphRepository:
    """The graphs of its namespace."""
    return GraphRepository(stage.client, stage.keys, SystemClock())


def unroll(reign: StagedReign) -> None:
    """Let the leader show what was sealed, and release its roots."""
    while reign.chores.resolve():
        pass


def play(stage: Stage, reign: StagedReign) -> Played:
    """End whatever is READY, and let the leader tell its dependents, until nothing is READY any more.

    No agents are needed for that: a READY job ends as one that can be placed nowhere, by the leader's own
    move, which is not counted in the time.
    """
    played = Played()
    leader = LeaderStore(stage.client, stage.client, stage.keys, reign.term)
    while ready := _ready(stage):
        for some in _pages(ready, BATCH):
            leader.apply([Settle(job, DEFAULT_GROUP, "refuse", "it is over") for job in some])
        played.ready += ready
        more = True
        while more:
            began = perf_counter()
            more = reign.chores.resolve()
            played.steps.append(perf_counter() - began)
    played.resolving_s = sum(played.steps)
    return played


def _ready(stage: Stage) -> list[str]:
    key = stage.keys.state(DEFAULT_GROUP, SessionState.READY)
    return cast("list[str]", stage.client.zrange(key, 0, _ENDED - 1))


def _pages(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
