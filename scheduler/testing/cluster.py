"""A cluster of real processes on a Redis of its own: replicas, agents, and a client to use them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scheduler.client import Client
from scheduler.domain.agent import AgentStatus
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.store.embedded import EmbeddedRedis
from scheduler.testing.evidence import Evidence, read_witness
from scheduler.testing.waiting import wait_until
from scheduler.testing.watched import WatchedRedis

_PATIENCE_S = 60.0


class Cluster:
    """Starts processes with the command line an operator would use, in a folder that keeps their logs.

    ``settings`` are environment variables without their prefix, such as ``{"LEASE": "3s"}``.
    With ``watched``, Redis is a primary and its replica with Sentinels.
    """

    def __init__(  # noqa: PLR0913 - what a test may choose
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        redis_options: Mapping[str, str] | None = None,
        binary: Path | None = None,
        path: Path | None = None,
        watched: WatchedRedis | None = None,
    ) -> None:
        self.folder = folder
        self.path = path or Path.cwd()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.secret = secrets.token_hex(32)
        self._settings = dict(settings or {})
        (folder / "redis").mkdir(parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        self._watched = watched
        self.redis = EmbeddedRedis(folder / "redis", binary=binary, options=redis_options or {})
        self.client: Client

    def __enter__(self) -> Self:
        (self._watched or self.redis).start()
        self.client = Client(self.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the processes find Redis."""
        return (self._watched or self.redis).url

    @property
    def environment(self) -> dict[str, str]:
        """What the processes find in their environment."""
        return {
            **os.environ,
            "SCHEDULER_REDIS_URL": self.url,
            "SCHEDULER_SECRET": self.secret,
            **{f"SCHEDULER_{name}": value for name, value in self._settings.items()},
        }

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start one process; what it says goes to ``logs/<name>.log``."""
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "scheduler.cli", *arguments],
                env={**self.environment, **(environment or {})},
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_replica(self, name: str, *options: str) -> None:
        """Start a scheduler replica."""
        self.start(name, ["replica", "run", "--name", name, *options])

    def start_agent(self, agent: str, *options: str, slots: str = "cpu=4,mem=4GiB") -> None:
        """Start an agent that runs everything."""
        state = str(self.folder / "agents")
        allow = ["--allow", "*", "--allow-commands"]
        self.start(
            agent,
            [
                "agent",
                "run",
                "--id",
                agent,
                "--slots",
                slots,
                "--state-dir",
                state,
                *allow,
                *options,
            ],
        )

    def wait_for_leader(self, *, other_than: str = "", within: float = _PATIENCE_S) -> str:
        """The name of the replica that leads the default group."""

        def holder() -> str:
            facts = self.client.store.leadership.show(DEFAULT_GROUP)
            leads = facts["lock"] and facts["lock"] == facts.get("nonce")
            return facts.get("holder", "") if leads and facts.get("holder") != other_than else ""

        return wait_until(holder, within=within, saying=self._say("no replica became leader"))

    def wait_for_agents(self, *agents: str, within: float = _PATIENCE_S) -> None:
        """Until these agents are ready."""

        def ready() -> bool:
            found = self.client.store.agents.many(agents)
            return len(found) == len(agents) and all(
                agent.status is AgentStatus.READY for agent in found
            )

        wait_until(
            ready, within=within, saying=self._say(f"not all of {', '.join(agents)} became ready")
        )

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process; one that is to die or to stop has done so then."""
        process = self.processes[name]
        process.send_signal(sign)
        if sign is signal.SIGKILL:
            process.wait()
        elif sign is signal.SIGSTOP:
            # Its threads go on until the one that took the signal has had a core.
            wait_until(
                lambda: _is_stopped(process.pid), within=_PATIENCE_S, saying=f"{name} does not stop"
            )

    def log(self, name: str) -> str:
        """All that a process has said."""
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def evidence(self, witness: Path) -> Evidence:
        """What kernels and events say of what happened."""
        events, last = [], "0-0"
        while page := self.client.store.events.since(last, limit=5_000):
            events += page
            last = page[-1].id
        return Evidence(tuple(read_witness(witness)), tuple(events))

    def stop(self) -> None:
        """End every process that was started here: SIGTERM, then SIGKILL for what is left."""
        for name in sorted(self.processes, reverse=True):
            process = self.processes[name]
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.close()
        (self._watched or self.redis).stop()

    def _say(self, what: str) -> str:
        ended = [
            f"{name} exited {p.poll()}"
            for name, p in self.processes.items()
            if p.poll() is not None
        ]
        return f"{what}; logs are in {self.folder / 'logs'}" + (
            f"; {', '.join(ended)}" if ended else ""
        )


def _is_stopped(pid: int) -> bool:
    """Whether all threads of a process are stopped, as Linux has it."""
    found = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(text.rpartition(")")[2].split()[0] == "T" for text in found)
