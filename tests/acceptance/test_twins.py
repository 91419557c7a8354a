"""Two agents with one id, as after a copied machine: one of them works, nothing runs twice."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from scheduler.domain.agent import AgentStatus
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench
from tests.acceptance.test_deaths import succeeded

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TWINS = ("left", "right")


def test_of_two_agents_with_one_id_one_works_and_the_other_follows_it(
    make_bench: Callable[..., Bench],
) -> None:
    """W5: each with a state directory of its own, as two machines have; started at the same time."""
    bench = make_bench(replicas=1, agents=0)
    folder, store = bench.cluster.folder, bench.client.store
    for twin in TWINS:
        words = ["agent", "run", "--id", "a1", "--slots", "cpu=2", "--allow", "*"]
        bench.cluster.start(twin, [*words, "--state-dir", str(folder / twin)])
    bench.cluster.wait_for_agents("a1")
    waiting = wait_until(
        lambda: [twin for twin in TWINS if "agent.waiting" in bench.cluster.log(twin)],
        within=90,
        saying="none of them was told to wait",
    )
    bench.enqueue_many([bench.spec("work", 0.02, slots={"cpu": "500m"}) for _ in range(100)])
    bench.wait_for_all(within=60)

    [other] = waiting
    [first] = set(TWINS) - {other}
    assert 100 == succeeded(bench)
    assert "agent.admitted" not in bench.cluster.log(other)
    assert {None} == {bench.cluster.processes[twin].poll() for twin in TWINS}

    bench.cluster.kill(first, signal.SIGTERM)
    assert 0 == bench.cluster.processes[first].wait(timeout=60)
    wait_until(
        lambda: (
            store.agents.get("a1").status is AgentStatus.READY
            and "agent.admitted" in bench.cluster.log(other)
        ),
        within=90,
        saying="the other one was not admitted",
    )
    bench.enqueue("work").get(timeout=20)

    bench.check()
