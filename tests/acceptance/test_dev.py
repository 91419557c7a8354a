"""``scheduler dev``: a whole cluster from one command, and nothing left when it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.cli.processes import ProcessGroup
from scheduler.client import Client
from scheduler.domain.states import SessionState

pytestmark = pytest.mark.acceptance

SCHEDULER = [sys.executable, "-m", "scheduler.cli"]


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    with ProcessGroup() as group:
        yield group


def _dev(group: ProcessGroup, folder: Path) -> dict[str, str]:
    """Start it, wait until it says how to use it; what to export."""
    words = ["dev", "--replicas", "1", "--agents", "1", "--data", str(folder)]
    path = os.pathsep.join(filter(None, sys.path))
    group.start("dev", [*SCHEDULER, *words], {"PYTHONPATH": path})
    group.wait_for_line("dev", "Ctrl-C stops everything.", within=120)
    exports = [line.split()[1] for line in group.output("dev") if line.startswith("  export ")]
    return dict(line.split("=", 1) for line in exports) | {"PYTHONPATH": path}


def test_dev_runs_a_session_and_leaves_nothing_behind(group: ProcessGroup, tmp_path: Path) -> None:
    environment = _dev(group, tmp_path)
    submit = [*SCHEDULER, "session", "submit", "--wait"]
    group.start("submit", [*submit, "--", "echo", "hello"], environment)

    assert 0 == group.wait("submit", within=60)
    assert "hello" == group.output("submit")[-1]

    group.start("failing", [*submit, "--", "false"], environment)

    assert 1 == group.wait("failing", within=60)

    group.kill("dev", signal.SIGINT)

    assert 0 == group.wait("dev", within=90)
    assert "" == _running(environment["SCHEDULER_REDIS_URL"])


def test_dev_starts_again_what_dies(group: ProcessGroup, tmp_path: Path) -> None:
    environment = _dev(group, tmp_path)
    replica = _running(environment["SCHEDULER_REDIS_URL"], "replica run --name replica-1")
    os.kill(int(replica.split()[0]), signal.SIGKILL)
    group.wait_for_line("dev", "ended with -9, starts again", within=120)
    client = Client(environment["SCHEDULER_REDIS_URL"], environment["SCHEDULER_NAMESPACE"])

    data = client.enqueue("math:sqrt", 4).wait(timeout=60)

    assert SessionState.SUCCEEDED is data.state
    client.close()


def test_the_doctor_is_content_with_it(group: ProcessGroup, tmp_path: Path) -> None:
    environment = _dev(group, tmp_path)
    client = Client(environment["SCHEDULER_REDIS_URL"], environment["SCHEDULER_NAMESPACE"])
    for session in [client.enqueue("math:sqrt", number) for number in range(20)]:
        session.wait(timeout=60)
    client.close()

    group.start("doctor", [*SCHEDULER, "doctor", "-o", "json"], environment)
    code = group.wait("doctor", within=60)

    assert (0, True) == (code, json.loads("\n".join(group.output("doctor")))["ok"])


def _running(url: str, words: str = "") -> str:
    """Processes told of this Redis whose command line holds the words, as "pid command".

    Others of the machine are nobody's business here: somebody may use `scheduler dev` meanwhile.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (folder / "environ").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if words in command and (url in command or f"={url} " in environment):
            found.append(f"{folder.name} {command}")
    return "\n".join(found)
