"""Plugins of another distribution at work in a leader of ours, without a change here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.states import SessionState
from scheduler.operations.explain import Explanation
from tests.integration.leader.world import GROUP, Cluster, wait_until
from tests.integration.plugins.conftest import EXAMPLES, Install

pytestmark = [pytest.mark.integration, pytest.mark.real, pytest.mark.usefixtures("acme")]
S = SessionState


def refused(cluster: Cluster, session: str, by: str) -> Explanation:
    """The explanation, once somebody of that name has refused it."""

    def look() -> Explanation | None:
        found = cluster.app.session(session).explain()
        return found if by in {refusal.by for refusal in found.refusals} else None

    found = wait_until(look, saying=f"{by} refuses")
    assert found is not None
    return found


def order(cluster: Cluster, sessions: dict[str, str]) -> list[str]:
    """Who was placed, in the order of the events."""
    names = {session: name for name, session in sessions.items()}
    placed = [
        event.fields["session"]
        for event in cluster.store.events.since("0-0", limit=1_000)
        if event.name == "session.scheduled"
    ]
    return [names[session] for session in placed if session in names]


def submit_all(cluster: Cluster, asked: dict[str, dict[str, Any]]) -> dict[str, str]:
    """One session each, while nobody leads."""
    return {name: cluster.submit(**spec)[0] for name, spec in asked.items()}


def test_a_validator_refuses_what_it_may_not_like(cluster: Cluster) -> None:
    """K19."""
    cluster.leader()
    cluster.agent().start(holding=True)
    (large,) = cluster.submit(slots={"cpu": "3"}, session_type="interactive")
    (small,) = cluster.submit(slots={"cpu": "2"}, session_type="interactive")

    cluster.reach(small, S.RUNNING)

    assert "An interactive session has 2 CPUs at most" == refused(cluster, large, "modest").says


def test_a_hook_rejects_until_it_passes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K9: the reason comes from the leader's note, and the sweep asks again; private ones are asked, too."""
    note = tmp_path / "closed"
    note.write_text("new disks\n")
    monkeypatch.setenv("ACME_CLOSED_FILE", str(note))
    cluster.leader()
    cluster.agent().start(holding=True)
    (session,), (private,) = cluster.submit(), cluster.submit(private=True)
    (system,) = cluster.submit(session_type="system")

    cluster.reach(system, S.RUNNING)
    told = [refused(cluster, s, "closed").says for s in (session, private)]
    note.unlink()

    assert ["the machine room is closed: new disks"] * 2 == told
    cluster.reach(session, S.RUNNING)
    cluster.reach(private, S.RUNNING)


def test_a_scheduler_orders_and_a_selector_chooses(cluster: Cluster) -> None:
    """K19: chosen by name, with an option of its own."""
    cluster.configure(
        scheduler="smallest-first", scheduler_opts={"slot": "mem"}, agent_selector="busiest"
    )
    sessions = submit_all(
        cluster,
        {
            name: {"slots": {"cpu": "1", "mem": f"{mem}MiB"}}
            for name, mem in (("large", 900), ("small", 100), ("middle", 500))
        },
    )
    cluster.boot("a1").register(cpu=8_000)
    cluster.boot("a2").register(cpu=3_000)
    cluster.leader()

    for session in sessions.values():
        cluster.reach(session, S.SCHEDULED)

    assert ["small", "middle", "large"] == order(cluster, sessions)
    assert {"a2"} == {k.agent for s in sessions.values() for k in cluster.get(s).kernels}


def test_a_scheduler_and_a_selector_of_the_seeds_work_through_their_adapter(
    cluster: Cluster,
) -> None:
    """K21."""
    cluster.configure(scheduler="turns", agent_selector="emptiest")
    asked = {f"{key}{i}": {"keypair": key} for key in ("ann", "bob") for i in range(3)}
    sessions = submit_all(
        cluster,
        {
            name: spec | {"slots": {"cpu": f"{i + 1}00m"}}
            for i, (name, spec) in enumerate(asked.items())
        },
    )
    for name in ("a1", "a2"):
        cluster.boot(name).register(cpu=8_000)
    cluster.leader()

    for session in sessions.values():
        cluster.reach(session, S.SCHEDULED)

    assert ["ann0", "bob0", "ann1", "bob1", "ann2", "bob2"] == order(cluster, sessions)
    hosts = [k.agent for s in sessions.values() for k in cluster.get(s).kernels]
    assert {"a1", "a2"} == set(hosts)


def test_a_cluster_mode_of_another_distribution_spreads_over_racks(
    cluster: Cluster, install: Install, tmp_path: Path
) -> None:
    """K19: `spread`, one kernel per rack."""
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "spread"\nversion = "1.0"\n'
        '[project.entry-points."scheduler.cluster_modes"]\nspread = "spread:Spread"\n'
    )
    install(project, [EXAMPLES / "spread.py"])
    cluster.leader()
    for name, rack in (("a1", "r1"), ("a2", "r1"), ("a3", "r2")):
        cluster.agent(name, labels={"rack": rack}).start(holding=True)

    (session,) = cluster.submit(cluster_mode="spread", cluster_size=2)
    data = cluster.reach(session, S.RUNNING)

    hosts = {kernel.agent for kernel in data.kernels}
    assert "a3" in hosts
    assert 2 == len(hosts)


def test_a_live_leader_takes_up_and_lays_down_a_plugin(cluster: Cluster) -> None:
    """K17: migrated by one command, and taken back by another."""
    cluster.leader()
    for name in ("a1", "a2"):
        cluster.agent(name).start(holding=True)
    for scheduler in ("turns", "smallest-first", "fifo"):
        cluster.configure(scheduler=scheduler)
        (session,) = cluster.submit()
        cluster.reach(session, S.RUNNING)

    assert 3 == cluster.store.sessions.counts(GROUP)[S.RUNNING]
