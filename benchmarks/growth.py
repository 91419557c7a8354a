"""How the cost of a placement grows with the cluster and with the queue; and the plot of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import placing, policy
from benchmarks.scale import Scale
from benchmarks.server import own_redis
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.leader.stage import Stage
from scheduler.store.scopes import ScopeRepository

_AGENTS = 1_000
_CLOSED: Final = "closed"
_WARM_UP = 100
Curve = Sequence[tuple[int, float]]


def measure(scale: Scale) -> dict[str, Any]:
    """Milliseconds per placement: by agents with a short queue; by waiting, on 1,000 agents."""
    count = scale.growth_placements
    agents = [(n, _cost(n, count, 0, scale.placing_s)) for n in scale.growth_agents]
    waiting = [(n, _cost(_AGENTS, count, n, scale.placing_s)) for n in scale.growth_waiting]
    whole = [(n, _whole_policy(n, count, scale.placing_s)) for n in scale.growth_waiting]
    return {
        "growth_ms_by_agents": agents,
        "growth_ms_by_waiting": waiting,
        "growth_ms_policy_by_waiting": whole,
    }


def _whole_policy(waiting: int, placements: int, within: float) -> float:
    """Milliseconds per placement of sessions of 200 users, under every rule."""
    # As many are placed while the term loads and warms up; the clock must find some left.
    return 1000 / policy.rate(_AGENTS, waiting + 2 * placements, placements, within)


def _cost(agents: int, placements: int, waiting: int, within: float) -> float:
    """Milliseconds per placement, while so many sessions wait that a scope refuses."""
    with own_redis() as server, Stage(server.url, "bench", {}) as stage:
        closed = Scope("keypair", _CLOSED)
        ScopeRepository(stage.client, stage.keys).limit(closed, ScopeLimits(max_sessions=0))
        stage.admit(placing.agents(agents))
        for start in range(0, waiting, _WARM_UP):
            numbers = range(start, start + _WARM_UP)
            stage.sessions.submit([placing.spec(n, keypair=_CLOSED) for n in numbers])
        reign = stage.lead()
        while not reign.settled:
            reign.run_once()
        total = range(placements + _WARM_UP)
        stage.sessions.submit([placing.spec(n, priority=20) for n in total])
        before = reign.dispatcher.counts.placed
        placing.place(reign, _WARM_UP, within)
        # A turn may place some more than it is asked for.
        left = len(total) - (reign.dispatcher.counts.placed - before)
        rate = placing.place(reign, left, within)
    return 1000 / rate if rate else float("inf")


def plot(found: Mapping[str, Any], file: Path) -> None:
    """Draw the curves side by side; flat is what is wanted."""
    # Only who asks for a plot waits for it.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    titles = {
        "growth_ms_by_agents": "agents",
        "growth_ms_by_waiting": "waiting sessions, refused",
        "growth_ms_policy_by_waiting": "waiting sessions of 200 users, whole policy",
    }
    figure, axes = plt.subplots(1, len(titles), figsize=(14, 4), sharey=True, layout="constrained")
    for axis, (key, what) in zip(axes, titles.items(), strict=True):
        numbers, costs = zip(*found[key], strict=True)
        axis.plot(numbers, costs, marker="o")
        axis.set_xscale("log")
        axis.set_xlabel(what)
        axis.grid(visible=True, alpha=0.3)
    # They share the scale: set it once all are drawn, or the others are cut off.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("ms per placement, decided and committed")
    figure.suptitle("What a placement costs as the cluster and the queue grow")
    figure.savefig(file, dpi=120)
    plt.close(figure)
