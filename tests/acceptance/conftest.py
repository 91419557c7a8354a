"""Clusters of real processes, and the check that ends every test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scheduler import Session, SessionSpec
from scheduler.domain.states import PLACED
from scheduler.testing import Cluster, wait_until

KERNELS = "tests.acceptance.kernels"
#: Short enough that a test need not wait, long enough for a busy machine.
QUICK = {
    "LEASE": "4s",
    "KILL_GRACE": "1s",
    "BEAT_INTERVAL": "500ms",
    "NOT_READY_AFTER": "2s",
    "RESCUE_MARGIN": "1s",
}


class Bench:
    """A cluster, its witness file, and how to enqueue to it and check it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.witness = cluster.folder / "witness.log"
        self.sessions: list[Session] = []

    def spec(self, kernel: str, *args: object, **options: Any) -> SessionSpec:
        """A session of the kernels beside this file."""
        env = {"WITNESS_FILE": str(self.witness)}
        return SessionSpec(callable=f"{KERNELS}:{kernel}", args=args, env=env, **options)

    def enqueue(self, kernel: str, *args: object, **options: Any) -> Session:
        """Enqueue one."""
        return self.enqueue_many([self.spec(kernel, *args, **options)])[0]

    def enqueue_many(self, specs: Sequence[SessionSpec]) -> list[Session]:
        """Enqueue some, and remember them for the check."""
        sessions = self.client.enqueue_many(specs)
        self.sessions += sessions
        return sessions

    def started(self, session: Session) -> bool:
        """Whether a kernel of the session has noted its start."""
        return self.witness.exists() and f"start {session.id} " in self.witness.read_text()

    def running(self) -> list[str]:
        """Ids of all placed sessions."""
        store = self.client.store.sessions
        return [i for state in PLACED for i in store.list_ids("default", state, limit=10_000)]

    def wait_for_all(self, within: float) -> None:
        """Until every session that was enqueued here has ended."""

        def ended() -> bool:
            return all(
                data.ended for data in self.client.store.sessions.many(s.id for s in self.sessions)
            )

        wait_until(
            ended,
            within=within,
            saying=f"not all sessions ended; logs in {self.cluster.folder / 'logs'}",
            every=0.1,
        )

    def check(self, *, runs: int = 1, never_ran: Sequence[Session] = ()) -> None:
        """Witness, events, store and doctor agree: ended once, never twice at a time, all given back."""
        ids = [session.id for session in self.sessions]
        ran = [i for i in ids if i not in {session.id for session in never_ran}]
        evidence = self.cluster.evidence(self.witness)

        assert [] == evidence.holes()
        assert [] == evidence.ends(ids)
        assert [] == evidence.starts(ran, at_most=runs)
        assert [] == evidence.overlaps()
        assert [] == self.running()
        self._check_nothing_is_held()
        assert [] == self._complaints_of_doctor()

    def _check_nothing_is_held(self) -> None:
        store = self.client.store
        agents = store.agents.many(store.agents.ids("default"))

        assert {a.id: a.capacity for a in agents} == {a.id: a.free for a in agents}
        assert {} == {
            str(s): used for s, (_, used) in store.scopes.read(store.scopes.known()).items() if used
        }

    def _complaints_of_doctor(self) -> list[str]:
        """What the doctor finds wrong, but for agents that this test itself killed."""
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.cli", "doctor", "-o", "json"],
            env=self.cluster.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        checks = json.loads(done.stdout)["checks"]
        gone = {
            name for name, process in self.cluster.processes.items() if process.poll() is not None
        }
        return [
            f"{check['name']}: {check['says']}"
            for check in checks
            if not check["ok"] and not any(name in check["says"] for name in gone)
        ]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Start clusters of the wanted size; they end with the test."""
    clusters: list[Cluster] = []

    def make(
        *, replicas: int = 1, agents: int = 1, slots: str = "cpu=4,mem=4GiB", **settings: str
    ) -> Bench:
        cluster = Cluster(tmp_path, settings={**QUICK, **settings})
        clusters.append(cluster)
        cluster.__enter__()
        for index in range(1, replicas + 1):
            cluster.start_replica(f"r{index}")
        for index in range(1, agents + 1):
            cluster.start_agent(f"a{index}", slots=slots)
        cluster.wait_for_leader()
        cluster.wait_for_agents(*[f"a{index}" for index in range(1, agents + 1)])
        return Bench(cluster)

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One replica and two agents for the tests of a module that break nothing."""
    with Cluster(tmp_path_factory.mktemp("cluster"), settings=QUICK) as cluster:
        cluster.start_replica("r1")
        for agent in ("a1", "a2"):
            cluster.start_agent(agent)
        cluster.wait_for_leader()
        cluster.wait_for_agents("a1", "a2")
        yield Bench(cluster)
