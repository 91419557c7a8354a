"""Facts of this machine, read from /proc: processes, who started them, whether they are dead."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

#: Every process we start carries this variable with the boot of its agent.
MARKER: Final = "SCHEDULER_AGENT_BOOT"

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DEAD: Final = b"ZX"
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NAME: Final = 15
# A killed process is gone within a fraction of a millisecond; each look walks all of /proc.
_LOOK_AGAIN_MS: Final = 2

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Process(NamedTuple):
    """One process; pid and start time together are never reused while the machine runs."""

    pid: int
    parent: int
    started: int  #: ticks since the machine booted
    dead: bool  #: ended, and not reaped by its parent yet


def boottime_ns() -> int:
    """CLOCK_BOOTTIME in ns: the clock of leases and deadlines, the same for every process."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def machine_boot() -> str:
    """An id that changes when the machine restarts."""
    return _BOOT_ID.read_text().strip()


def become_subreaper() -> None:
    """From now on orphans among our descendants become our children, not init's."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


def set_process_name(name: str) -> None:
    """What `ps -o comm` shows, at most 15 bytes."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def flush_c_streams() -> None:
    """Write out what C code of this process printed."""
    _libc.fflush(None)


def look(pid: int) -> Process | None:
    """Read one process; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - a Path costs as much as the read
            text = file.read()
    except OSError:
        return None
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:  # noqa: PLR2004 - the start time is the 20th field after the name
        return None
    return Process(pid, int(fields[1]), int(fields[19]), fields[0] in _DEAD)


def is_alive(pid: int, started: int) -> bool:
    """Whether this very process still runs."""
    found = look(pid)
    return found is not None and found.started == started and not found.dead


def everything() -> Iterator[Process]:
    """All processes one can see."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - a hot path
        if name.isdigit() and (found := look(int(name))):
            yield found


def descendants(roots: Iterable[int]) -> list[Process]:
    """All living descendants of some processes, without these, parents before their children."""
    children: dict[int, list[Process]] = {}
    for process in everything():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    queue = list(roots)
    while queue:
        below = children.pop(queue.pop(0), [])
        found += below
        queue += [process.pid for process in below]
    return [process for process in found if not process.dead]


def send_signal(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each that still lives."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def reap() -> dict[int, int]:
    """Collect our own ended children: pid to wait status."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def kill_until_none(
    find: Callable[[], Collection[Process]], *, give_up_ns: int | None = None
) -> bool:
    """SIGKILL what `find` finds, again and again until it finds nothing; whether it got there.

    Once is not enough: what was found may have forked between the look and the signal.
    """
    while found := find():
        if give_up_ns is not None and boottime_ns() > give_up_ns:
            return False
        send_signal(found, signal.SIGKILL)
        select.select([], [], [], _LOOK_AGAIN_MS / 1000)
    return True


def kill_descendants(*, spare: Collection[int] = ()) -> dict[int, int]:
    """SIGKILL all our descendants but some children, confirm that they are dead, reap them."""
    ended: dict[int, int] = {}

    def find() -> list[Process]:
        ended.update(reap())
        own = os.getpid()
        if not spare:
            return descendants([own])
        orphans = [p.pid for p in everything() if p.parent == own and p.pid not in spare]
        living = [p for pid in orphans if (p := look(pid)) and not p.dead]
        return living + descendants(orphans)

    kill_until_none(find)
    ended.update(reap())
    return ended


def carrying(boot: str) -> list[Process]:
    """Living processes that were started with the marker of this boot in their environment."""
    marker = f"{MARKER}={boot}".encode()
    found = []
    for process in everything():
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as file:  # noqa: PTH123 - a hot path
                environment = file.read()
        except OSError:
            continue
        if not process.dead and marker in environment.split(b"\0"):
            found.append(process)
    return found
