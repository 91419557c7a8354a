"""Placements per second through the real leader and commit, on clusters of several sizes."""

from __future__ import annotations

from functools import partial

from benchmarks import placing
from benchmarks.ceiling import nearby
from benchmarks.scale import Scale
from benchmarks.server import own_redis
from scheduler.leader.stage import Stage

#: Placed before the clock runs: rankings are made, connections are open.
_WARM_UP = 200


def measure(scale: Scale) -> dict[str, float]:
    """The rate for each size."""
    found: dict[str, float] = {}
    for agents in scale.agents:
        found |= nearby(f"placement_{agents}", scale, partial(_rate, agents, scale))
    return found


def _rate(agents: int, scale: Scale) -> dict[str, float]:
    return {f"place_per_s_{agents}": rate(agents, scale.placements, scale.placing_s)}


def rate(agents: int, sessions: int, within: float) -> float:
    """Placements per second on so many agents."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        stage.admit(placing.agents(agents))
        stage.sessions.submit([placing.spec(n) for n in range(sessions + _WARM_UP)])
        reign = stage.lead()
        placing.place(reign, _WARM_UP, within)
        return placing.place(reign, sessions - _WARM_UP, within)
