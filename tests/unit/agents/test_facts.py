"""Processes of this machine, their descendants, and their certain death."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from agents import facts
from agents.rundir import RunDirectory
from scheduler.domain.errors import Refused

# A tree of three that hides in sessions of its own, and says when it stands.
TREE = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        break
else:
    print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, facts.MARKER: "b" * 32}
    process = subprocess.Popen(
        [sys.executable, "-c", TREE], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout
    process.stdout.readline()
    yield process
    facts.kill_until_none(lambda: facts.carrying("b" * 32))
    process.wait()
    process.stdout.close()


def test_a_process_is_known_by_pid_and_start(tree: subprocess.Popen[bytes]) -> None:
    found = facts.look(tree.pid)

    assert found is not None
    assert os.getpid() == found.parent
    assert facts.is_alive(tree.pid, found.started)
    assert not facts.is_alive(tree.pid, found.started + 1)


def test_a_dead_process_is_not_alive_although_nobody_reaped_it(
    tree: subprocess.Popen[bytes],
) -> None:
    found = facts.look(tree.pid)
    assert found
    tree.kill()
    until_dead(tree.pid)

    assert not facts.is_alive(tree.pid, found.started)


def test_there_is_no_such_process() -> None:
    assert facts.look(2**22 + 1) is None


def test_all_descendants_are_found_whatever_their_session(tree: subprocess.Popen[bytes]) -> None:
    assert 2 == len(facts.descendants([tree.pid]))


def test_marked_processes_are_found_when_their_parent_is_dead(
    tree: subprocess.Popen[bytes],
) -> None:
    tree.kill()
    until_dead(tree.pid)

    assert 2 == len(facts.carrying("b" * 32))
    assert [] == facts.carrying("c" * 32)


def test_killing_is_done_when_nothing_is_left(tree: subprocess.Popen[bytes]) -> None:
    assert facts.kill_until_none(lambda: facts.carrying("b" * 32))
    assert [] == facts.carrying("b" * 32)
    assert [] == facts.descendants([tree.pid])


def test_killing_gives_up_when_asked_to(tree: subprocess.Popen[bytes]) -> None:
    itself = facts.look(tree.pid)
    assert itself

    assert not facts.kill_until_none(lambda: [itself], give_up_ns=facts.boottime_ns())


def test_a_directory_serves_one_agent(tmp_path: Path) -> None:
    first = RunDirectory(tmp_path / "a")
    with pytest.raises(Refused, match="already runs"):
        RunDirectory(tmp_path / "a")
    first.close()

    RunDirectory(tmp_path / "a").close()


def test_a_sweep_kills_what_was_recorded_and_names_the_boot(
    tmp_path: Path, tree: subprocess.Popen[bytes]
) -> None:
    before = RunDirectory(tmp_path)
    assert "" == before.sweep()
    before.begin("a" * 32, "")
    before.admitted()
    before.note(tree.pid)
    before.close()

    assert "a" * 32 == RunDirectory(tmp_path).sweep()
    assert [] == facts.carrying("b" * 32)


def test_a_sweep_spares_a_stranger_with_a_recorded_pid(
    tmp_path: Path, tree: subprocess.Popen[bytes]
) -> None:
    before = RunDirectory(tmp_path)
    before.begin("a" * 32, "")
    (tmp_path / "processes").write_text(f"{tree.pid} 1\n77")
    before.close()

    RunDirectory(tmp_path).sweep()

    assert tree.poll() is None


def test_a_boot_nobody_admitted_passes_its_predecessor_on(tmp_path: Path) -> None:
    first = RunDirectory(tmp_path)
    first.begin("a" * 32, "")
    first.admitted()
    first.close()
    second = RunDirectory(tmp_path)
    second.begin("c" * 32, second.sweep())
    second.close()

    assert "a" * 32 == RunDirectory(tmp_path).sweep()


def test_after_a_restart_of_the_machine_nothing_is_killed(
    tmp_path: Path, tree: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = RunDirectory(tmp_path)
    before.begin("b" * 32, "")
    before.admitted()
    before.note(tree.pid)
    before.close()
    monkeypatch.setattr(facts, "machine_boot", lambda: "another boot of the machine")

    assert "b" * 32 == RunDirectory(tmp_path).sweep()
    assert tree.poll() is None


def test_the_record_forgets_the_dead(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.begin("a" * 32, "")
    (tmp_path / "processes").write_text("999999 5\n")
    directory.note(os.getpid())
    directory._compact()
    directory.note(os.getppid())

    recorded = (tmp_path / "processes").read_text().split()[::2]
    assert [str(os.getpid()), str(os.getppid())] == recorded
    directory.close()


def until_dead(pid: int) -> None:
    while (found := facts.look(pid)) and not found.dead:
        Event().wait(0.002)
