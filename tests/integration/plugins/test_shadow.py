"""A shadow in a live leader: it decides, writes nothing but what it counts, and can be taken up and away."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.states import SessionState
from scheduler.testing.waiting import wait_until
from tests.integration.leader.world import GROUP, Cluster

pytestmark = [pytest.mark.integration, pytest.mark.real]
S = SessionState
DISPERSED = {"agent_selector": "dispersed", "agent_selector_opts": {}}


def record(cluster: Cluster, **least: int) -> dict[str, Any]:
    """What is told, once so much was counted: looks are a sample, so sessions come until then."""

    def look() -> dict[str, Any] | None:
        placed_one_by_one(cluster, 1)
        found = cluster.store.groups.shadow(GROUP)
        counts = (found or {}).get("counts", {})
        return found if all(counts.get(k, 0) >= n for k, n in least.items()) else None

    # A few: what they hold must not decide who comes next.
    found = wait_until(look, within=25, saying=f"{least} were not counted", every=1)
    assert found is not None
    return found


def placed_one_by_one(cluster: Cluster, count: int) -> list[str]:
    """Agents of sessions, each submitted when the one before runs."""
    hosts = []
    for _ in range(count):
        (session,) = cluster.submit()
        hosts += [k.agent for k in cluster.reach(session, S.RUNNING).kernels]
    return hosts


def placed_by_what_was_said(cluster: Cluster) -> str:
    """Where a session goes, once the leader heard of a change: one that its sweep meets first does not tell."""
    return placed_one_by_one(cluster, 2)[-1]


def test_a_migration_is_judged_made_and_taken_back(cluster: Cluster) -> None:
    """K17: the shadow's answer is what the policy does once it is in force."""
    cluster.leader()
    for name, cpu in (("a1", 4_000), ("a2", 8_000)):
        cluster.agent(name, cpu=cpu).start(holding=True)
    cluster.configure(shadow=DISPERSED)

    assert {"a1"} == set(placed_one_by_one(cluster, 3))
    told = record(cluster, elsewhere=1)
    assert {(("a1",), ("a2",))} == {(tuple(s["real"]), tuple(s["shadow"])) for s in told["samples"]}
    assert ("", "dispersed") == (told["broken"], told["policies"]["shadow"]["agent_selector"])

    cluster.configure(agent_selector="dispersed")
    assert "a2" == placed_by_what_was_said(cluster)
    alike = record(cluster, same=1)
    assert 0 == alike["counts"].get("elsewhere", 0)

    cluster.configure(agent_selector="concentrated")
    cluster.configure(shadow={})
    assert "a1" == placed_by_what_was_said(cluster)
    wait_until(
        lambda: cluster.store.groups.shadow(GROUP) is None,
        within=60,
        saying="it was not forgotten",
    )


def test_the_next_leader_goes_on_counting(cluster: Cluster) -> None:
    cluster.configure(shadow=DISPERSED)
    first = cluster.leader()
    for name in ("a1", "a2"):
        cluster.agent(name).start(holding=True)
    placed_one_by_one(cluster, 1)
    before = record(cluster, cycles=1)
    first.stop()

    cluster.leader("r2")
    placed_one_by_one(cluster, 2)

    after = record(cluster, cycles=before["counts"]["cycles"] + 1)
    assert before["since"] == after["since"]


def test_a_shadow_that_cannot_be_loaded_harms_nobody(cluster: Cluster) -> None:
    cluster.configure(shadow={"scheduler": "astrology"})
    cluster.leader()
    cluster.agent().start(holding=True)

    placed_one_by_one(cluster, 2)

    told = wait_until(lambda: cluster.store.groups.shadow(GROUP), within=60, saying="it is told")
    assert told is not None
    assert "There is no scheduler named 'astrology'" in told["broken"]
