"""A cluster in one process: replicas in threads, a real Redis, agents driven by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar, cast

import redis

from scheduler import Client, SessionSpec
from scheduler.bootstrap import Store, make_replica
from scheduler.domain.errors import StoreUnavailable
from scheduler.domain.ids import new_nonce
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.leader.replica import Replica
from scheduler.protocol import order as orders
from scheduler.protocol import report as reports
from scheduler.protocol.names import STOP_PREFIX, parse_order_id
from scheduler.protocol.order import DeadlineOrder, StartOrder
from scheduler.protocol.report import EndReason, KernelReport, ReportKind
from scheduler.protocol.signing import agent_key
from scheduler.settings import Settings, load
from scheduler.store.connection import connect, speaking_to
from scheduler.store.mailbox import AgentMailbox, Answer, Superseded

SECRET = "the secret of a test cluster"
GROUP = "default"
_LOOK_EVERY_S = 0.01
#: For what takes a moment, on a machine with ten times the work it has cores for: how fast things must
#: be is said where it is tested.
PATIENCE_S = 30.0
_never = threading.Event()
T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T], *, within: float = PATIENCE_S, saying: str = "it came true"
) -> T:
    """Look until the predicate is true, and answer what it said; fail after a while."""
    deadline = monotonic() + within
    while not (found := predicate()):
        assert monotonic() < deadline, f"waited {within} s in vain until {saying}"
        _never.wait(_LOOK_EVERY_S)
    return found


def stays(predicate: Callable[[], bool], *, for_: float) -> bool:
    """Whether the predicate is true for a while."""
    deadline = monotonic() + for_
    while monotonic() < deadline:
        if not predicate():
            return False
        _never.wait(_LOOK_EVERY_S)
    return True


class FakeAgent:
    """One boot of an agent: claims, reports and beats on command, or by itself in a thread."""

    def __init__(self, cluster: Cluster, name: str, *, group: str = GROUP) -> None:
        self.name, self.boot, self.group = name, new_nonce(), group
        self.key = agent_key(SECRET, cluster.namespace, name)
        self.client = connect(cluster.url)
        self.keys = cluster.store.keys
        self.mailbox = AgentMailbox(self.client, cluster.namespace, name, group)
        self.running: dict[str, StartOrder] = {}
        self.started: list[str] = []  #: every order it ever ran
        self.claims = 0
        self.silent = False
        self.lease_ms = 30_000
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def register(
        self, *, cpu: int = 4_000, swept: str = "", lease_ms: int = 30_000, **more: Any
    ) -> FakeAgent:
        """Ask to be admitted."""
        self.lease_ms = lease_ms
        hello = reports.Registration(
            agent=self.name,
            boot=self.boot,
            group=self.group,
            slots={"cpu": cpu, "mem": 8_192},
            lease_ms=lease_ms,
            grace_ms=0,
            swept=swept,
            **more,
        )
        self.mailbox.report([reports.encode(hello, self.key)])
        return self

    def beat(self) -> Answer:
        """Beat once."""
        return self.mailbox.beat(self.boot, 600_000, claims=self.claims, running=list(self.running))

    def admitted(self) -> FakeAgent:
        """Wait until it may work."""
        wait_until(lambda: self.beat().word == "ok", saying=f"{self.name} is admitted")
        return self

    def take(self, limit: int = 100) -> list[StartOrder]:
        """Claim the orders in its queue; stop orders end what they name."""
        with speaking_to(self.client):
            ids = cast("list[str]", self.client.lpop(self.keys.rq_queue(self.name), limit) or [])
        for stop in (
            text.removeprefix(STOP_PREFIX) for text in ids if text.startswith(STOP_PREFIX)
        ):
            if stop in self.running and self.told(stop) is None:
                self.end([self.running[stop]], exit_code=None, reason=EndReason.STOPPED)
        wanted = [text for text in ids if not text.startswith(STOP_PREFIX)]
        taken: list[StartOrder] = []
        if not wanted:
            return taken
        claims = [self._said(ReportKind.CLAIMED, order) for order in wanted]
        report = reports.encode_many(claims, self.key)
        for claimed in self.mailbox.claim(self.boot, wanted, report):
            order, _ = orders.decode(claimed.text, self.key, agent=self.name, boot=self.boot)
            assert isinstance(order, StartOrder)
            self.claims = claimed.number
            self.running[order.id] = order
            self.started.append(order.id)
            taken.append(order)
        return taken

    def told(self, order: str) -> int | None:
        """How long (ms) it was told to let an order run, if that stands on its keys."""
        text = self.mailbox.stop_order(order)
        if text is None:
            return None
        found, _ = orders.decode(text, self.key, agent=self.name, boot=self.boot)
        return found.timeout_ms if isinstance(found, DeadlineOrder) else None

    def taken(self, count: int = 1) -> list[StartOrder]:
        """Claim until it has so many."""
        found: list[StartOrder] = []

        def look() -> bool:
            found.extend(self.take())
            return len(found) >= count

        wait_until(look, saying=f"{count} orders came")
        return found

    def up(self, started: Sequence[StartOrder]) -> None:
        """Their processes run."""
        self.tell([self._said(ReportKind.UP, order.id) for order in started])

    def end(self, ended: Sequence[StartOrder], **how: Any) -> None:
        """They are over; with success unless told otherwise."""
        how = {"exit_code": 0, "reason": EndReason.EXITED} | how
        self.tell([self._said(ReportKind.ENDED, order.id, **how) for order in ended])
        for order in ended:
            self.running.pop(order.id, None)

    def leave(self) -> None:
        """Say goodbye."""
        self.mailbox.report(
            [reports.encode(reports.Leaving(agent=self.name, boot=self.boot), self.key)]
        )

    def tell(self, said: Sequence[KernelReport]) -> None:
        """Report, signed."""
        if said:
            self.mailbox.report([reports.encode_many(said, self.key)])

    def _said(self, kind: ReportKind, order: str, **how: Any) -> KernelReport:
        named = parse_order_id(order)
        assert named is not None
        return KernelReport(
            kind=kind,
            agent=self.name,
            boot=self.boot,
            session=named.session,
            kernel=named.kernel,
            placement=named.placement,
            **how,
        )

    def start(self, *, holding: bool = False) -> FakeAgent:
        """Beat and work in a thread: every kernel ends well at once, unless it is holding them."""

        def live() -> None:
            untold: list[StartOrder] = []  # what Redis did not hear is said again
            while not self._stop.wait(0.005):
                with suppress(StoreUnavailable, Superseded):
                    if self.silent:
                        continue
                    self.beat()
                    untold += self.take()
                    if untold:
                        self.up(untold)
                        if not holding:
                            self.end(untold)
                        untold = []

        self._thread = threading.Thread(target=live, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Its process ends without a word."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self.client.close()


class Cluster:
    """One namespace on one Redis."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url, self.namespace = url, namespace
        self.app = Client(url, namespace)
        self.store: Store = self.app.store
        self.replicas: list[Replica] = []
        self.agents: list[FakeAgent] = []
        self._opened: list[redis.Redis] = []
        self.store.groups.configure(GROUP, {})

    def owns(self, client: redis.Redis) -> redis.Redis:
        """A client that is closed at the end; left open, it would fail whichever test collects it."""
        self._opened.append(client)
        return client

    def settings(self, **changes: Any) -> Settings:
        """Short times."""
        times = {
            "leader_ttl": "2s",
            "leader_renew": "250ms",
            "follower_poll": "40ms",
            "sweep": "500ms",
        }
        base = {
            "redis_url": self.url,
            "namespace": self.namespace,
            "secret": SECRET,
            "retry_initial": "50ms",
        }
        return load(
            **(times | base | {"not_ready_after": "20s", "rescue_margin": "100ms"} | changes)
        )

    def replica(
        self, name: str = "r1", groups: Sequence[str] = (GROUP,), **changes: Any
    ) -> Replica:
        """A replica, started."""
        made = make_replica(self.settings(**changes), name, groups)
        made.start()
        self.replicas.append(made)
        return made

    def leader(self, name: str = "r1", **changes: Any) -> Replica:
        """A replica, elected."""
        made = self.replica(name, **changes)
        wait_until(lambda: made.health()["leads"], saying=f"{name} leads")
        return made

    def boot(self, name: str = "a1", *, group: str = GROUP) -> FakeAgent:
        """A boot of an agent, not registered yet."""
        self.agents.append(FakeAgent(self, name, group=group))
        return self.agents[-1]

    def agent(self, name: str = "a1", **more: Any) -> FakeAgent:
        """An agent, admitted."""
        return self.boot(name).register(**more).admitted()

    def submit(self, count: int = 1, **asked: Any) -> list[str]:
        """Sessions."""
        usual = {"callable": "jobs:noop"} | (
            {} if "kernels" in asked else {"slots": {"cpu": "100m"}}
        )
        spec = SessionSpec(**(usual | asked))
        return [session.id for session in self.app.enqueue_many([spec] * count)]

    def get(self, session: str) -> SessionData:
        """Its record."""
        return self.store.sessions.get(session)

    def reach(
        self, session: str, state: SessionState, *, within: float = PATIENCE_S
    ) -> SessionData:
        """Wait until a session is in a state; its record then."""

        def look() -> SessionData | None:
            data = self.get(session)
            return data if data.state is state else None

        found = wait_until(look, within=within, saying=f"{session} is {state}")
        assert found is not None
        return found

    def done(
        self,
        count: int,
        *,
        within: float = PATIENCE_S,
        state: SessionState = SessionState.SUCCEEDED,
    ) -> None:
        """Wait until so many sessions are in a state."""
        wait_until(
            lambda: self.store.sessions.counts(GROUP)[state] >= count,
            within=within,
            saying=f"{count} are {state}",
        )

    def configure(self, **options: Any) -> None:
        """Change options of the group."""
        self.store.groups.configure(GROUP, options)

    def close(self) -> None:
        """Everything ends."""
        for agent in self.agents:
            agent.stop()
        for replica in self.replicas:
            replica.stop()
        self.app.close()
        for client in self._opened:
            client.close()
