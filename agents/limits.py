"""What a kernel may use: resource limits, and three ways to hold it to its memory slot."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from agents.facts import Process

MIB: Final = 1024 * 1024
_OPEN_FILES: Final = 65_536
_CGROUPS: Final = Path("/sys/fs/cgroup")
_PAGE: Final = resource.getpagesize()
# Above the default, so that a machine out of memory loses a kernel and not its agent.
_OOM_SCORE: Final = "500"


class MemoryLimit(StrEnum):
    """How the mem slot of a kernel is enforced."""

    AUTO = "auto"  #: cgroup where the agent may, else watch
    CGROUP = "cgroup"  #: memory.max of a cgroup v2 delegated to the agent
    WATCH = "watch"  #: the shim adds up what its descendants use, about twice a second
    RLIMIT = "rlimit"  #: address space of each process; too harsh for programs that reserve much
    NONE = "none"


def limit_this_process() -> None:
    """No core dumps, a sane number of files, the first to go when the machine is out of memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    except OSError:
        return


def limit_address_space(size: int) -> None:
    """Set the soft limit only: a warm child must be able to lift it again; 0 lifts it."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size or hard, hard))


def memory_used(processes: Iterable[Process]) -> int:
    """Resident bytes, shared pages counted for each process that has them: cheap, and too much."""
    pages = 0
    for process in processes:
        try:
            with open(f"/proc/{process.pid}/statm", "rb") as file:  # noqa: PTH123 - a hot path
                pages += int(file.read().split()[1])
        except (OSError, IndexError):
            continue
    return pages * _PAGE


def memory_used_exactly(processes: Iterable[Process]) -> int:
    """Proportional set size in bytes: shared pages divided by their users. Ten times the price."""
    total = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            total += memory_used([process])
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class Cgroup:
    """One cgroup v2 holding one kernel."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_memory(self, size: int) -> None:
        """Limit what it may use; 0 is no limit. Swap would only make a leak slow."""
        (self.path / "memory.max").write_text(str(size) if size else "max")
        swap = self.path / "memory.swap.max"
        if swap.exists():
            swap.write_text("0" if size else "max")

    def join(self) -> None:
        """Move the calling process in; what it starts is in, too."""
        (self.path / "cgroup.procs").write_text("0")

    def ran_out_of_memory(self) -> bool:
        """Whether the machine killed something of it."""
        try:
            lines = (self.path / "memory.events").read_text().splitlines()
        except OSError:
            return False
        return any(
            line.split() > ["oom_kill", "0"] for line in lines if line.startswith("oom_kill ")
        )

    def remove(self) -> None:
        """Forget it; it must be empty."""
        try:
            self.path.rmdir()
        except OSError:
            return


class CgroupHome:
    """The cgroup v2 delegated to this agent, under which each kernel gets its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def find(cls, root: Path = _CGROUPS, own: str | None = None) -> Self | None:
        """The agent's own cgroup, if it may limit memory there and is alone in it."""
        lines = (own or Path("/proc/self/cgroup").read_text()).splitlines()
        below = next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), None)
        if not below:
            return None
        path = root / below
        try:
            if "memory" not in (path / "cgroup.controllers").read_text().split():
                return None
            # Somebody else's process here: a login session, say, which is not ours to rearrange.
            if (path / "cgroup.procs").read_text().split() != [str(os.getpid())]:
                return None
            # A group with processes of its own cannot limit its children, so the agent moves down.
            (path / "agent").mkdir(exist_ok=True)
            (path / "agent" / "cgroup.procs").write_text("0")
            (path / "cgroup.subtree_control").write_text("+memory")
        except OSError:
            return None
        return cls(path)

    def create(self, name: str) -> Cgroup:
        """A new cgroup for one kernel or warm child. Raises OSError."""
        path = self._path / name
        path.mkdir(exist_ok=True)
        group = path / "memory.oom.group"
        if group.exists():
            group.write_text("1")
        return Cgroup(path)
