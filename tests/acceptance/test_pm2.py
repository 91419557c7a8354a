"""Everything as an operator runs it: the real PM2 from npm, scripts/start and scripts/stop (J8)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from agents import facts
from scheduler import Client, Session
from scheduler.store.embedded import EmbeddedRedis
from scheduler.testing import wait_until
from tests.acceptance.ports import free_ports

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
PM2 = ROOT / "node_modules" / ".bin" / "pm2"
#: What the issue promises; more only where the machine needs longer for a first start than for that.
BACK_WITHIN_S = 5.0


@dataclass
class Stack:
    """What scripts/start has started."""

    env: dict[str, str]
    server: EmbeddedRedis
    ports: dict[str, int]
    took_s: float = 0.0  #: from nothing to all ready

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def pm2(self) -> dict[str, dict[str, Any]]:
        """What PM2 knows of each process."""
        return {each["name"]: each for each in json.loads(self.run(PM2, "jlist").stdout)}

    def health(self, name: str, page: str = "/health") -> tuple[int, dict[str, Any]]:
        """Status and facts; 0 where nothing answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.ports[name]}{page}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}

    def processes(self) -> list[str]:
        """What lives of it, found by a variable that all of it inherits, agents' kernels aside."""
        marker = f"PM2_HOME={self.env['PM2_HOME']}".encode()
        found = []
        for process in facts.everything():
            try:
                environment = Path(f"/proc/{process.pid}/environ").read_bytes()
                words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            except OSError:
                continue
            if marker in environment.split(b"\0") and not process.dead:
                found.append(words.replace(b"\0", b" ").decode())
        return found


def skip_without_pm2() -> None:
    """It is there, or can be fetched."""
    if PM2.exists():
        return
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node.js or npm is not installed")
    script = "cd $1 && source scripts/_pm2.sh && ensure_pm2"
    told = subprocess.run(["bash", "-c", script, "-", ROOT], check=False, capture_output=True)
    if told.returncode:
        pytest.skip(f"npm could not install pm2: {told.stderr.decode()[-300:]}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    skip_without_pm2()
    folder = tmp_path_factory.mktemp("pm2")
    replica = free_ports(4)  # of the first; the second has the next
    agent, api = replica + 2, replica + 3
    with EmbeddedRedis(folder / "redis") as server:
        told = {
            "SCHEDULER_REDIS_URL": server.url,
            "SCHEDULER_STATE_DIR": str(folder / "state"),
            "SCHEDULER_KILL_GRACE": "500ms",
            "PM2_HOME": str(folder / "home"),
            "DEPLOY_REPLICA_PORT": str(replica),
            "DEPLOY_AGENT_PORT": str(agent),
            "DEPLOY_API_PORT": str(api),
            "DEPLOY_AGENT_COMMANDS": "yes",
            "DEPLOY_AGENT_SLOTS": "cpu=4",
            "DEPLOY_READY_WITHIN": "60",
        }
        ports = {"replica-1": replica, "replica-2": replica + 1, "agent": agent, "api": api}
        stack = Stack({**os.environ, **told}, server, ports)
        began = monotonic()
        try:
            started = stack.run("scripts/start")
            assert 0 == started.returncode, started.stderr
            stack.took_s = monotonic() - began
            yield stack
        finally:
            stack.run("scripts/stop")


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.server.url) as found:
        yield found


def answers(stack: Stack, name: str, status: int) -> Callable[[], bool]:
    return lambda: stack.health(name)[0] == status


def test_a_killed_scheduler_is_back_and_healthy(stack: Stack, client: Client) -> None:
    """J8: SIGKILL of the replica that leads, and meanwhile the other one serves."""
    before = client.enqueue_command(["echo", "before"])
    before.wait(timeout=60)
    leader = next(n for n in ("replica-1", "replica-2") if stack.health(n)[1]["leads"])
    pid = stack.pm2()[leader]["pid"]
    within = max(BACK_WITHIN_S, stack.took_s)

    os.kill(pid, signal.SIGKILL)
    wait_until(answers(stack, leader, 0), within=90, saying="it lives on")
    wait_until(answers(stack, leader, 200), within=within, saying=f"{leader} is not back")
    during = client.enqueue_command(["echo", "after"])

    assert "SUCCEEDED" == during.wait(timeout=60).state
    again = stack.pm2()[leader]
    assert (again["pid"] != pid, again["pm2_env"]["restart_time"]) == (True, 1)


def test_without_redis_all_live_and_none_is_ready(stack: Stack) -> None:
    """J8: and all are ready again when it is back, without a restart."""
    names = list(stack.ports)
    pids = {name: process["pid"] for name, process in stack.pm2().items()}
    stack.server.stop()
    for name in names:
        wait_until(answers(stack, name, 503), within=90, saying=f"{name} is ready")
    lives = [stack.health(name, "/health/live")[0] for name in names]
    told = [stack.health(name)[1] for name in names]
    stack.server.restart()

    assert [200] * len(names) == lives
    assert all(one["alive"] and not one["ready"] and one["why"].endswith(".") for one in told)
    for name in names:
        wait_until(answers(stack, name, 200), within=90, saying=f"{name} is not ready again")
    assert pids == {name: process["pid"] for name, process in stack.pm2().items()}


def test_who_dies_again_and_again_waits_longer_each_time(stack: Stack, tmp_path: Path) -> None:
    """J8: the policy of ecosystem.config.js; a wrong setting (exit code 2) is not tried again."""
    diary = tmp_path / "diary"
    config = tmp_path / "fails.config.js"
    config.write_text(
        f"const {{ policy }} = require({json.dumps(str(ROOT / 'ecosystem.config.js'))});\n"
        "const app = (name, script) => ({ ...policy, name, script: '/bin/sh', interpreter: 'none',\n"
        "  args: ['-c', script] });\n"
        f"module.exports = {{ apps: [app('fails', 'date +%s.%N >> {diary}; exit 1'),\n"
        "  app('mistaken', 'exit 2')] };\n"
    )
    assert 0 == stack.run(PM2, "start", config).returncode

    def starts() -> list[float]:
        return [float(line) for line in diary.read_text().split()] if diary.exists() else []

    wait_until(lambda: len(starts()) > 6, within=90, saying="it is not started again")
    mistaken = stack.pm2()["mistaken"]["pm2_env"]
    stack.run(PM2, "delete", "fails", "mistaken")
    waits = [after - before for before, after in zip(starts(), starts()[1:], strict=False)]

    # 100 ms, then half as much more each time, in whole ones; a busy machine adds what it likes to each.
    assert [] == [(n, wait) for n, wait in enumerate(waits) if wait < 0.09 * 1.5**n]
    assert (2, 0) == (mistaken["exit_code"], mistaken["restart_time"])


def test_stop_leaves_nothing_behind(stack: Stack, client: Client) -> None:
    """J8: not PM2, not a replica, not a kernel that runs."""
    session = client.enqueue_command(["sleep", "1000"])
    wait_until(lambda: session.state == "RUNNING", within=90, saying="it does not run")
    zygotes = [words for words in stack.processes() if "agents.zygote" in words]
    kernels = [p for p in facts.everything() if _is_of(session, p.pid)]

    stopped = stack.run("scripts/stop")

    assert (0, "Stopped.\n") == (stopped.returncode, stopped.stdout)
    assert "RUNNING" != session.state  # a replica heard the agent's last report
    assert not zygotes  # they have a clean environment, and end with their agent
    assert kernels
    wait_until(lambda: not stack.processes(), within=90, saying="something of it lives on")
    assert not [p for p in kernels if facts.is_alive(p.pid, p.started)]
    assert "Nothing runs here.\n" == stack.run("scripts/stop").stdout


def _is_of(session: Session, pid: int) -> bool:
    """Whether a process is a kernel of this session: others of the machine may sleep, too."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"SESSION_ID={session.id}".encode() in environment.split(b"\0")
