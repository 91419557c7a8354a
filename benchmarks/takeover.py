"""From a leader's death to the first placement of the next term, with a long queue waiting."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from benchmarks.scale import Scale, percentile
from scheduler import SessionSpec
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.testing import Cluster, wait_until

REPLICAS: Final = ("r1", "r2", "r3")
#: The agent's memory: most of it is held for good, so that half of the queue finds no room.
_AGENT_SLOTS, _HELD, _TOO_MUCH, _LITTLE = "cpu=4,mem=4GiB", "3GiB", "2GiB", "64MiB"
_CLOSED: Final = "closed"
_PATIENCE_S = 30.0
_LOADED_WITHIN_S = 60.0
_PAGE = 5_000


def measure(scale: Scale) -> dict[str, float]:
    """Kills, then stops, on one cluster."""
    with _cluster(scale.waiting) as cluster:
        kills = [_kill(cluster) for _ in range(scale.kills)]
        stops = [_stop(cluster) for _ in range(scale.stops)]
    return {
        "takeover_kill_p50_ms": percentile(kills, 50),
        "takeover_kill_p99_ms": percentile(kills, 99),
        "takeover_stop_p99_ms": percentile(stops, 99),
    }


@contextmanager
def _cluster(waiting: int) -> Iterator[Cluster]:
    """Three replicas, one agent; half of the queue is refused by a scope, half finds no room."""
    with (
        tempfile.TemporaryDirectory(prefix="scheduler-bench-") as folder,
        Cluster(Path(folder)) as cluster,
    ):
        for replica in REPLICAS:
            cluster.start_replica(replica)
        cluster.start_agent("a1", slots=_AGENT_SLOTS)
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1")
        store = cluster.client.store
        store.scopes.limit(Scope("keypair", _CLOSED), ScopeLimits(max_sessions=0))
        held = SessionSpec(
            command=["sleep", "3600"], slots={"cpu": "100m", "mem": _HELD}, priority=99
        )
        [first] = store.sessions.submit([held])
        wait_until(
            lambda: store.sessions.get(first).running_at, within=_PATIENCE_S, saying="nothing runs"
        )
        closed = SessionSpec(callable="benchmarks.work:noop", keypair=_CLOSED)
        large = SessionSpec(callable="benchmarks.work:noop", slots={"mem": _TOO_MUCH})
        store.sessions.submit([closed, large] * (waiting // 2))
        _placed_after(cluster, _now_ms(cluster), within=_LOADED_WITHIN_S)
        yield cluster


def _kill(cluster: Cluster) -> float:
    leader = _leader(cluster)
    at = _now_ms(cluster)
    cluster.kill(leader, signal.SIGKILL)
    took = _placed_after(cluster, at, other_than=leader)
    _restart(cluster, leader)
    return took


def _stop(cluster: Cluster) -> float:
    leader = _leader(cluster)
    at = _now_ms(cluster)
    cluster.kill(leader, signal.SIGSTOP)
    took = _placed_after(cluster, at, other_than=leader)
    cluster.kill(leader, signal.SIGCONT)
    cluster.kill(leader, signal.SIGKILL)
    _restart(cluster, leader)
    return took


def _leader(cluster: Cluster) -> str:
    """Who leads, once whatever it was given has been placed: it is neither new nor behind."""
    _placed_after(cluster, _now_ms(cluster))
    return cluster.wait_for_leader()


def _restart(cluster: Cluster, replica: str) -> None:
    said = cluster.log(replica).count("replica.started")
    cluster.start_replica(replica)
    wait_until(
        lambda: cluster.log(replica).count("replica.started") > said,
        within=_PATIENCE_S,
        saying=f"{replica} did not come back",
    )


def _placed_after(
    cluster: Cluster, at_ms: int, *, other_than: str = "", within: float = _PATIENCE_S
) -> float:
    """Submit something that has room, and wait until it is placed; ms of Redis since a moment.

    With ``other_than``, only what another replica's term placed counts.
    """
    events = cluster.client.store.events
    last, elected = events.last_id(), not other_than
    probe = SessionSpec(callable="benchmarks.work:noop", slots={"mem": _LITTLE}, priority=90)
    [session] = cluster.client.store.sessions.submit([probe])

    def found() -> float | None:
        nonlocal last, elected
        for event in events.since(last, limit=_PAGE):
            last = event.id
            elected |= event.name == "leader.elected" and event.fields["holder"] != other_than
            mine = event.name == "session.scheduled" and event.fields["session"] == session
            # Zero would read as "not yet".
            if mine and elected:
                return max(1.0, int(event.fields["at"]) - at_ms)
        return None

    return cast("float", wait_until(found, within=within, saying="nobody placed the probe"))


def _now_ms(cluster: Cluster) -> int:
    seconds, micros = cluster.client.store.client.time()
    return seconds * 1000 + micros // 1000
