"""The agent's side of the zygote: starts it by exec, asks it for shims, wires them up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agents.channel import Channel
from agents.facts import boottime_ns
from agents.kernels import Host
from agents.leash import ROWS, Leash
from agents.limits import CgroupHome
from agents.monitor import Watch
from agents.packets import Packets
from agents.rundir import RunDirectory

_LARGEST: Final = 64 * 1024
_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Habitat:
    """What the processes of this agent start with."""

    env: Mapping[str, str]  #: the clean base
    path: Path  #: first on sys.path, and where callables find themselves
    grace_ms: int
    cgroups: CgroupHome | None


class Nursery:
    """One zygote, and the shims it has forked so far."""

    def __init__(self, directory: RunDirectory, leash: Leash, habitat: Habitat) -> None:
        self._directory = directory
        self._leash = leash
        self._habitat = habitat
        self._free_rows = list(range(ROWS - 1, -1, -1))
        self._count = 0
        self._scratch = str(directory.scratch)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = self._start(theirs.fileno())
        directory.note(self._process.pid)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature

    def _start(self, fd: int) -> subprocess.Popen[bytes]:
        directory, habitat = self._directory, self._habitat
        arguments = [
            str(fd),
            str(directory.leash),
            str(directory.scratch),
            str(habitat.grace_ms),
            str(habitat.path),
        ]
        return subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "agents.zygote", *arguments],
            # Where this very package is found; the zygote then goes to where callables are.
            cwd=_PACKAGE_ROOT,
            env=dict(habitat.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,
        )

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    @property
    def has_room(self) -> bool:
        """Whether another shim can be asked for."""
        return bool(self._free_rows)

    @property
    def lease_runs(self) -> bool:
        """Whether anything may run now."""
        return self._leash.until_ns > boottime_ns()

    def spawn(self, *, warm: bool, watch: Watch | None) -> Host:
        """Ask for a shim; it is born when the zygote says so. Raises OSError."""
        self._count += 1
        number, index = self._count, self._free_rows.pop()
        cgroup = self._habitat.cgroups.create(f"kernel-{number}") if self._habitat.cgroups else None
        row = self._leash.row(index)
        row.clear()
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as failure:
            failure.callback(self._free_rows.append, index)
            host = Host(
                number, index, row, Channel(_pair(fds := [], theirs)), None, None, {}, cgroup
            )
            failure.callback(host.close)
            for stream in ("stdout", "stderr"):
                reader, writer = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(reader, False)
                host.hear(reader, stream)
                theirs.callback(os.close, writer)
                fds.append(writer)
            if warm:
                host.child, host.packets = Channel(_pair(fds, theirs)), Packets()
                fds.append(host.packets.theirs.fileno())
            asked = {
                "number": number,
                "row": index,
                "cgroup": str(cgroup.path) if cgroup else "",
                "watch": asdict(watch) if watch else None,
            }
            socket.send_fds(self._socket, [json.dumps(asked).encode()], fds)
            failure.pop_all()
        return host

    def scratch_of(self, host: Host) -> str:
        """Where what a host holds may write."""
        return f"{self._scratch}/{host.number}"

    def born(self, host: Host, pid: int) -> None:
        """Record a shim before it may run foreign code."""
        host.pid = pid
        self._directory.note(pid)

    def bury(self, host: Host) -> None:
        """A shim is gone and reaped: forget all of it."""
        host.close()
        host.row.clear()
        self._free_rows.append(host.index)
        if host.cgroup is not None:
            host.cgroup.remove()

    def hear(self) -> list[dict[str, Any]] | None:
        """What the zygote has said since; None when it is gone."""
        heard: list[dict[str, Any]] = []
        while True:
            try:
                text = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return heard
            except OSError:
                return None
            if not text:
                return None
            heard.append(json.loads(text))

    def close(self, timeout: float) -> bool:
        """Hang up: the zygote kills what is left and ends; whether it did in time."""
        self._socket.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            return False
        return True


def _pair(fds: list[int], theirs: contextlib.ExitStack) -> socket.socket:
    """A stream whose other end goes into `fds` and is closed here when it was sent."""
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.enter_context(other)
    fds.append(other.fileno())
    return ours
