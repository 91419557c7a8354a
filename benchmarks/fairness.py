"""How evenly offices are served while one of them has ten thousand jobs more than the others."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from benchmarks import placing
from benchmarks.scale import Scale
from benchmarks.server import own_redis
from scheduler.domain.office import office_scopes
from scheduler.domain.slots import LARGEST
from scheduler.domain.spec import SessionSpec
from scheduler.leader.stage import Stage
from scheduler.store.offices import OfficeRepository

_OFFICES: Final = 50
_AGENTS: Final = 100
_BATCH: Final = 2_000
_CROWDED: Final = "office-00"
_ROLE: Final = "build"


def measure(scale: Scale) -> dict[str, Any]:
    """Placements of the slowest office by those of the fastest, in the time in which all have jobs left."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        stage.admit(placing.agents(_AGENTS))
        offices = [f"office-{number:02}" for number in range(_OFFICES)]
        repository = OfficeRepository(stage.client, stage.keys)
        for office in offices:
            repository.create(office, {"max_concurrent_jobs": LARGEST, "roles": [_ROLE]})
        # The crowd came first and asks for more priority: both must not help it.
        jobs = [_job(_CROWDED, priority=90)] * scale.crowd
        for start in range(0, len(jobs), _BATCH):
            stage.sessions.submit(jobs[start : start + _BATCH])
        for _ in range(scale.office_jobs):
            stage.sessions.submit([_job(office) for office in offices])
        reign = stage.lead()
        while not reign.state.all_loaded:
            reign.run_once()
        before = Counter(session.request.office for session in reign.state.board)
        # A turn may place some more than it is asked for: half of what the others have is left.
        wanted = _OFFICES * scale.office_jobs // 2
        rate = placing.place(reign, wanted, scale.placing_s)
        served = Counter(session.request.office for session in reign.state.board)
        served.subtract(before)
    counts = [served[office] for office in offices]
    return {
        "office_fairness": min(counts) / max(counts) if max(counts) else 0.0,
        "office_place_per_s": rate,
    }


def _job(office: str, *, priority: int = 10) -> SessionSpec:
    return SessionSpec(
        callable="package.module:function",
        slots={"cpu": "100m", "mem": "64MiB"},
        scopes=office_scopes(office, _ROLE),
        priority=priority,
    )
