"""Memory of processes, and cgroups, on a tree of files that looks like one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents import facts
from agents.limits import Cgroup, CgroupHome, memory_used, memory_used_exactly


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A cgroup as systemd delegates it."""
    path = tmp_path / "system.slice" / "agent.service"
    path.mkdir(parents=True)
    (path / "cgroup.controllers").write_text("cpu memory pids\n")
    (path / "cgroup.procs").write_text(f"{os.getpid()}\n")
    (path / "cgroup.subtree_control").write_text("")
    return path


def find(root: Path) -> CgroupHome | None:
    return CgroupHome.find(root, "9:name=systemd:/\n0::/system.slice/agent.service\n")


def test_a_delegated_cgroup_is_prepared(tmp_path: Path, own: Path) -> None:
    assert find(tmp_path) is not None
    assert "+memory" == (own / "cgroup.subtree_control").read_text()
    assert "0" == (own / "agent" / "cgroup.procs").read_text()


@pytest.mark.parametrize(
    ("file", "text"), [("cgroup.controllers", "cpu pids"), ("cgroup.procs", "1\n2\n")]
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, own: Path, file: str, text: str) -> None:
    (own / file).write_text(text)

    assert find(tmp_path) is None
    assert "" == (own / "cgroup.subtree_control").read_text()


def test_without_cgroup_v2_there_is_none(tmp_path: Path) -> None:
    assert CgroupHome.find(tmp_path, "4:memory:/x\n") is None
    assert CgroupHome.find(tmp_path, "0::/gone\n") is None


def test_each_kernel_gets_its_own(tmp_path: Path, own: Path) -> None:
    home = find(tmp_path)
    assert home
    group = home.create("kernel-1")
    group.set_memory(1024)

    assert own / "kernel-1" == group.path
    assert "1024" == (group.path / "memory.max").read_text()
    group.set_memory(0)
    assert "max" == (group.path / "memory.max").read_text()


@pytest.mark.parametrize(
    ("events", "ran_out"), [("oom 1\noom_kill 0\n", False), ("oom_kill 12\n", True)]
)
def test_the_machine_tells_what_it_killed(tmp_path: Path, events: str, *, ran_out: bool) -> None:
    (tmp_path / "memory.events").write_text(events)

    assert ran_out is Cgroup(tmp_path).ran_out_of_memory()
    assert not Cgroup(tmp_path / "gone").ran_out_of_memory()


def test_memory_is_counted_once_where_it_is_shared() -> None:
    itself = facts.look(os.getpid())
    assert itself
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    twins = [itself, itself._replace(pid=child)]

    together, exactly = memory_used(twins), memory_used_exactly(twins)
    os.close(writer)
    os.waitpid(child, 0)
    os.close(reader)

    assert exactly < together
    assert exactly > memory_used([itself]) / 2
