"""Large graphs through the leader's own code, and how long its scripts take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

import pytest

from benchmarks import graphs
from benchmarks.scale import percentile
from scheduler.leader.stage import Stage
from scheduler.store.embedded import FAKE, EmbeddedRedis, find_binary

pytestmark = pytest.mark.integration

FAN = [f"f{number}" for number in range(10_000)]
DIAMOND: Mapping[str, Sequence[str]] = {"a": [], **{name: ["a"] for name in FAN}, "z": FAN}
CHAIN: Mapping[str, Sequence[str]] = {f"n{n}": [f"n{n - 1}"] if n else [] for n in range(1_000)}
LONGEST_MS = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One server, without a disk."""
    if find_binary() in (None, FAKE):
        pytest.skip("no redis-server is installed")
    made = EmbeddedRedis(tmp_path_factory.mktemp("graphs"), options={"appendonly": "no"}).start()
    yield made
    made.kill()


@pytest.mark.parametrize("needs", [DIAMOND, CHAIN], ids=["diamond", "chain"])
def test_a_large_graph_becomes_ready_in_short_steps(
    server: EmbeddedRedis, needs: Mapping[str, Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1: a node costs its degree, and no script holds up Redis."""
    with Stage(server.url, f"t{uuid4().hex[:8]}", {}) as stage:
        reign = stage.lead()
        took: list[float] = []
        resolve = reign.chores.resolve

        def timed() -> bool:
            before = _cpu_ms(stage)
            more = resolve()
            took.append(_cpu_ms(stage) - before)
            return more

        monkeypatch.setattr(reign.chores, "resolve", timed)
        graph_id = graphs.submit(stage, graphs.graph_of(needs))
        graphs.unroll(reign)
        played = graphs.play(stage, reign)
        found = graphs.repository(stage)
        jobs = found.with_sessions(found.read(graph_id)).sessions

    place = {session: number for number, session in enumerate(played.ready)}
    assert sorted(jobs.values()) == sorted(place)
    for name, above in needs.items():
        assert all(place[jobs[parent]] < place[jobs[name]] for parent in above)
    assert percentile(took, 99) < LONGEST_MS


def _cpu_ms(stage: Stage) -> float:
    """What Redis has worked: a busy machine's clock runs while it does not."""
    found = cast("Any", stage.client.info("cpu"))
    return 1000 * float(found["used_cpu_user"] + found["used_cpu_sys"])
