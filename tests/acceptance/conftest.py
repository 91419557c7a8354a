"""Clusters of real processes, and the check that ends every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scheduler import Session, SessionSpec
from scheduler.domain.events import EventData
from scheduler.domain.spec import duration_ms
from scheduler.domain.states import PLACED
from scheduler.operations.doctor import examine
from scheduler.store.audit import AuditRepository
from scheduler.testing import Cluster, WatchedRedis, WitnessEntry, wait_until
from tests.acceptance.proxy import Proxy

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

    def wait_for_starts(self) -> None:
        """Until a kernel of every session that was enqueued here has begun."""
        wait_until(
            lambda: all(map(self.started, self.sessions)), within=30, saying="not all started"
        )

    def now_ms(self) -> int:
        """Redis' clock, which stamps events."""
        return self.client.store.sessions.redis_time_ms()

    def events(self, *names: str, since: int = 0) -> list[EventData]:
        """Events of these names, from a moment of Redis' clock on."""
        found = self.cluster.evidence(self.witness).events
        return [e for e in found if e.name in names and int(e.fields["at"]) >= since]

    def witnessed(self, what: str) -> list[WitnessEntry]:
        """Lines of the witness: start, alive or end."""
        return [e for e in self.cluster.evidence(self.witness).witness if e.what == what]

    def wait_for_event(
        self, name: str, since: int, within: float = 30, **fields: str
    ) -> tuple[EventData, int]:
        """The first such event since a moment, and how many ms after it that was."""

        def look() -> list[EventData]:
            return [
                event
                for event in self.events(name, since=since)
                if fields.items() <= event.fields.items()
            ]

        found = wait_until(look, within=within, saying=f"there was no {name}", every=0.1)[0]
        return found, int(found.fields["at"]) - since

    def start_agent_behind(
        self,
        port: int,
        agent: str,
        slots: str = "cpu=4,mem=4GiB",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start an agent that reaches Redis by another port, as a proxy's, or is told more."""
        state = ["--state-dir", str(self.cluster.folder / "agents")]
        words = ["agent", "run", "--id", agent, "--slots", slots, "--allow", "*", *state]
        url = f"redis://127.0.0.1:{port}/0"
        self.cluster.start(agent, words, {"SCHEDULER_REDIS_URL": url, **(environment or {})})

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
            str(scope): use
            for scope, use in store.scopes.read(store.scopes.known()).items()
            if use.sessions or use.slots or use.pending or use.pending_slots
        }

    def _complaints_of_doctor(self) -> list[str]:
        """What the doctor finds wrong, but for agents that this test itself killed."""
        store = self.client.store
        silent_after_ms = duration_ms(self.cluster.environment["SCHEDULER_NOT_READY_AFTER"], "it")
        checks = examine(
            store, AuditRepository(store.client, store.keys), silent_after_ms=silent_after_ms
        )
        gone = {
            name for name, process in self.cluster.processes.items() if process.poll() is not None
        }
        return [
            f"{check.name}: {check.says}"
            for check in checks
            if not check.ok and not any(name in check.says for name in gone)
        ]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Start clusters of the wanted size; they end with the test."""
    clusters: list[Cluster] = []

    def make(
        *,
        replicas: int = 1,
        agents: int = 1,
        slots: str = "cpu=4,mem=4GiB",
        watched: WatchedRedis | None = None,
        **settings: str,
    ) -> Bench:
        cluster = Cluster(tmp_path, settings={**QUICK, **settings}, watched=watched)
        clusters.append(cluster)
        cluster.__enter__()
        for index in range(1, replicas + 1):
            cluster.start_replica(f"r{index}")
        for index in range(1, agents + 1):
            cluster.start_agent(f"a{index}", slots=slots)
        if replicas:
            cluster.wait_for_leader()
        cluster.wait_for_agents(*[f"a{index}" for index in range(1, agents + 1)])
        return Bench(cluster)

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture
def proxy_to() -> Iterator[Callable[[str], Proxy]]:
    """Proxies before a Redis, by its URL."""
    made: list[Proxy] = []

    def make(url: str) -> Proxy:
        made.append(Proxy(urlsplit(url).port or 0))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


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
