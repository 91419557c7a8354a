"""The run directory: one agent id, one agent; what it started; what its predecessor left."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from agents import facts
from agents.leash import Leash
from scheduler.domain.errors import Refused
from scheduler.observability.logs import get_logger

_LOCK: Final = "lock"
_BOOT: Final = "boot.json"
_PROCESSES: Final = "processes"
# A line per shim; the file is written anew without the dead ones when it has this many.
_COMPACT_AT: Final = 4096
_LINE: Final = re.compile(r"([0-9]+) ([0-9]+)")


class RunDirectory:
    """Where one agent keeps its lock, leash and record, and its kernels' scratch directories."""

    def __init__(self, path: Path) -> None:
        """Take the directory for this process. Raises Refused when another agent holds it."""
        self.path = path
        with _writing(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Refused(
                why=f"an agent of this id already runs on this machine ({path} is locked)"
            ) from None
        self._record: TextIO | None = None
        self._boot: dict[str, Any] = {}
        self._lines = 0
        self._full = False

    @property
    def scratch(self) -> Path:
        """Under it each shim makes a directory."""
        return self.path / "scratch"

    @property
    def leash(self) -> Path:
        """The file of agents.leash."""
        return self.path / "leash"

    def begin(self, boot: str, swept: str) -> Leash:
        """Start a record for this boot, which has swept another. Raises Refused on a full disk."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._boot = {
            "boot": boot,
            "machine": facts.machine_boot(),
            "swept": swept,
            "admitted": False,
        }
        with _writing(self.path):
            self.scratch.mkdir(mode=0o700, exist_ok=True)
            leash = Leash(self.leash, create=True)
            # The list is emptied first: at no moment does this boot stand beside old processes.
            self._record = (self.path / _PROCESSES).open("w")
            _write(self.path / _BOOT, self._boot)
        return leash

    def admitted(self) -> None:
        """The leader knows this boot: from now on it is the one to be swept."""
        self._boot["admitted"] = True
        with self._going_on():
            _write(self.path / _BOOT, self._boot)

    def note(self, pid: int) -> None:
        """Record a process that was started; it must not run foreign code before."""
        found = facts.look(pid)
        if found is None or self._record is None:
            return
        with self._going_on():
            self._record.write(f"{pid} {found.started}\n")
            self._record.flush()
            self._lines += 1
            if self._lines >= _COMPACT_AT:
                self._compact()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """A disk that is full now harms nobody: the next boot finds our processes by their mark, too.

        Where it cannot name the boot it swept, the leader waits for the lease, as for any other.
        """
        try:
            yield
        except OSError as error:
            if not self._full:
                self._full = True
                get_logger(path=str(self.path)).error("rundir.full", why=error.strerror)

    def sweep(self) -> str:
        """Kill what the predecessor left, and confirm it; returns the boot that is swept, or "".

        Its shims have killed everything by now, unless they were killed themselves.
        """
        try:
            before = json.loads((self.path / _BOOT).read_text())
            boot, machine = str(before["boot"]), str(before["machine"])
            # A boot that nobody admitted is unknown to the leader, who waits for the one before it.
            known = boot if before["admitted"] else str(before["swept"]) or boot
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        if machine == facts.machine_boot():
            recorded = _read(self.path / _PROCESSES)
            facts.kill_until_none(lambda: _left(recorded, boot))
        return known

    def close(self) -> None:
        """Leave: clean, so a successor finds nothing to do but the boot's name."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._record is not None:
            with self._going_on():
                self._record.close()
        os.close(self._lock)

    def _compact(self) -> None:
        path = self.path / _PROCESSES
        fresh = path.with_suffix(".new")
        living = [line for line in _read(path) if facts.is_alive(*line)]
        record = fresh.open("w")
        record.writelines(f"{pid} {started}\n" for pid, started in living)
        record.flush()
        fresh.rename(path)
        if self._record is not None:
            self._record.close()
        self._record, self._lines = record, 0


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """At the start. Raises Refused with a sentence."""
    try:
        yield
    except OSError as error:
        why = f"its run directory {path} cannot be written: {error.strerror}; see --state-dir"
        raise Refused(why=why) from error


def _left(recorded: Iterable[tuple[int, int]], boot: str) -> set[facts.Process]:
    """What lives of a boot: recorded processes, their descendants, all that carries its mark."""
    roots = [found for pid, started in recorded if (found := _alive(pid, started))]
    return {*roots, *facts.descendants(p.pid for p in roots), *facts.carrying(boot)}


def _alive(pid: int, started: int) -> facts.Process | None:
    found = facts.look(pid)
    return found if found and found.started == started and not found.dead else None


def _read(path: Path) -> list[tuple[int, int]]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    # The last line may be torn by the kill; then it names a process that was never used.
    found = (_LINE.fullmatch(line) for line in lines)
    return [(int(match[1]), int(match[2])) for match in found if match]


def _write(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(value))
    fresh.rename(path)
