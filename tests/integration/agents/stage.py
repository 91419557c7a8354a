"""A real agent process, and a leader played by hand."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import redis

from agents import facts
from scheduler.domain.ids import new_nonce, new_session_id
from scheduler.protocol import order as orders
from scheduler.protocol import report as reports
from scheduler.protocol import signing
from scheduler.protocol.names import STOP_PREFIX
from scheduler.protocol.report import KernelReport, Registration, ReportKind
from scheduler.store.keys import Keys

ROOT = Path(__file__).parents[3]
WORK = Path(__file__).parent / "work"
SECRET = "a secret for tests only"
AGENT = "a1"
GROUP = "default"


def wait_for(look: Callable[[], Any], saying: str, within: float = 60.0) -> Any:
    """Look again and again until there is something."""
    deadline = facts.boottime_ns() + int(within * 1e9)
    while not (found := look()):
        assert facts.boottime_ns() < deadline, f"{saying} within {within} s"
        Event().wait(0.01)
    return found


class Leader:
    """What the leader does to one agent: admit it, order, stop, read its reports."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.namespace = namespace
        self.key = signing.agent_key(SECRET, namespace, AGENT)
        self.boot = ""
        self._heard: list[reports.Report] = []
        self._heard_to = "-"

    def reports(self) -> list[reports.Report]:
        """Everything said so far, checked; each look reads only what is new."""
        entries: Any = self.client.xrange(self.keys.reports(GROUP), self._heard_to)
        for entry, f in entries:
            said_here = reports.opened(f[reports.BODY], f[reports.MAC], lambda _: self.key)
            self._heard += [reports.read(said) for said in said_here]
            self._heard_to = f"({entry}"
        return list(self._heard)

    def registration(self, unlike: str = "") -> Registration:
        """The last boot that registered, other than one."""

        def look() -> Registration | None:
            found = [r for r in self.reports() if isinstance(r, Registration)]
            return found[-1] if found and found[-1].boot != unlike else None

        registered: Registration = wait_for(look, "no boot registered")
        return registered

    def admit(self, boot: str) -> None:
        """Answer ok to a boot."""
        self.boot = boot
        self.client.hset(self.keys.record(AGENT), mapping={"boot": boot, "group": GROUP})

    def start(self, payload: Mapping[str, Any], **fields: Any) -> str:
        """Order a kernel; its order id."""
        order, text = self.order(payload, **fields)
        self.push(order.id, text)
        return order.id

    def order(self, payload: Mapping[str, Any], **fields: Any) -> tuple[orders.StartOrder, str]:
        """A signed order."""
        text = json.dumps(payload)
        given = {
            "agent": AGENT,
            "boot": self.boot,
            "group": GROUP,
            "session": new_session_id(1),
            "kernel": 0,
            "placement": new_nonce(),
            "attempt": 1,
            "name": "test",
            "keypair": "",
            "slots": {"cpu": 1000},
            "timeout_ms": 60_000,
            "on_lost": "rerun",
            "hosts": ["127.0.0.1"],
            "payload_sha256": hashlib.sha256(text.encode()).hexdigest(),
            **fields,
        }
        order = orders.StartOrder(**given)
        return order, f"{orders.encode(order, self.key)}\n{text}"

    def push(self, order: str, text: str) -> None:
        """Lay an order on the agent's keys, and its id into RQ."""
        self.client.hset(self.keys.orders(AGENT), order, text)
        self.client.rpush(self.keys.rq_queue(AGENT), order)

    def stop(self, order: str, reason: str = "cancelled") -> None:
        """Order a stop."""
        stop = orders.StopOrder(agent=AGENT, boot=self.boot, order=order, reason=reason)
        self.client.hset(self.keys.stops(AGENT), order, orders.encode(stop, self.key))
        self.client.rpush(self.keys.rq_queue(AGENT), f"{STOP_PREFIX}{order}")

    def said_of(self, order: str) -> list[KernelReport]:
        """All reports on one order."""
        return [r for r in self.reports() if isinstance(r, KernelReport) and r.order == order]

    def up(self, order: str) -> KernelReport:
        """Wait until a kernel runs."""
        return self._wait(order, ReportKind.UP, 60.0)

    def end(self, order: str, within: float = 60.0) -> KernelReport:
        """Wait until a kernel is over."""
        return self._wait(order, ReportKind.ENDED, within)

    def _wait(self, order: str, kind: ReportKind, within: float) -> KernelReport:
        def look() -> KernelReport | None:
            return next((r for r in self.said_of(order) if r.kind is kind), None)

        found: KernelReport = wait_for(look, f"no {kind} of {order}", within)
        return found

    def run(self, payload: Mapping[str, Any], **fields: Any) -> KernelReport:
        """Order a kernel and wait for its end."""
        return self.end(self.start(payload, **fields))

    def log(self, order: str, stream: str = "stdout") -> str:
        """What a kernel wrote."""
        entries: Any = self.client.xrange(self.keys.log(AGENT, order))
        return "".join(f["text"] for _, f in entries if f["stream"] == stream)


class AgentProcess:
    """One agent, as an operator starts it."""

    def __init__(self, url: str, leader: Leader, directory: Path) -> None:
        self.url = url
        self.leader = leader
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "agent.log"

    def start(self, *options: str, **settings: str) -> AgentProcess:
        """Start it; it is not admitted yet."""
        directory = str(self.directory / "state")
        command = [
            sys.executable,
            "-c",
            "from agents.cli import agent; agent()",
            "run",
            "--id",
            AGENT,
        ]
        command += ["--slots", "cpu=4,mem=8GiB", "--allow", "work.*", "--allow-commands"]
        command += ["--path", str(WORK), "--state-dir", directory, *options]
        fixed = {
            "REDIS_URL": self.url,
            "NAMESPACE": self.leader.namespace,
            "SECRET": SECRET,
            "KILL_GRACE": "500ms",
            "BEAT_INTERVAL": "200ms",
            "LEASE": "30s",
        }
        environment = {f"SCHEDULER_{name}": value for name, value in {**fixed, **settings}.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def admitted(self, *options: str, **settings: str) -> AgentProcess:
        """Start it and admit it."""
        before = self.leader.boot
        self.start(*options, **settings)
        self.leader.admit(self.leader.registration(unlike=before).boot)
        return self

    @property
    def pid(self) -> int:
        """Of the main process."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send the main process a signal."""
        os.kill(self.pid, number)

    def wait(self, within: float = 60.0) -> int:
        """Its exit code."""
        assert self.process is not None
        return self.process.wait(within)

    def left(self) -> list[facts.Process]:
        """What lives of its current boot, the main process not counted."""
        return facts.carrying(self.leader.boot)

    def end(self) -> None:
        """Kill whatever lives of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
