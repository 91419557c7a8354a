"""Starts a command in a process of its own, as the shim's child."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from agents.limits import Cgroup, limit_address_space, limit_this_process

_SHELL_NOT_FOUND: Final = 127
# Ignored by Python or by the zygote, and ignored signals survive an exec.
_RESET: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, and with which standard streams."""

    words: list[str]
    env: dict[str, str]
    cwd: Path
    address_space: int  #: bytes; 0 is no limit
    cgroup: Path | None


class NotStartedError(Exception):
    """The program does not exist or cannot be run."""


def start(command: Command, stdout: int, stderr: int) -> int:
    """Fork and exec; returns the pid once the program runs. Raises NotStartedError."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _become(command, stdout, stderr, writer)
    os.close(writer)
    # A successful exec closes the pipe; a failed one says why first.
    with os.fdopen(reader, "rb") as said:
        why = said.read().decode("utf-8", "replace")
    if why:
        os.waitpid(pid, 0)
        raise NotStartedError(why)
    return pid


def _become(command: Command, stdout: int, stderr: int, writer: int) -> NoReturn:
    try:
        prepare(stdout, stderr, command.cgroup)
        os.chdir(command.cwd)
        if command.address_space:
            limit_address_space(command.address_space)
        _exec(command.words, command.env)
    except (OSError, ValueError, TypeError) as error:
        # Without the name that an OSError ends with: it is the same, as bytes.
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        os.write(writer, f"{command.words[0]!r} cannot be run: {why}.".encode())
    finally:
        os._exit(_SHELL_NOT_FOUND)


def _exec(words: list[str], env: dict[str, str]) -> NoReturn:
    """Look on the kernel's own PATH, not on the agent's."""
    os.execvpe(words[0], words, env)  # noqa: S606 - a program with its arguments, no shell


def prepare(stdout: int, stderr: int, cgroup: Path | None) -> None:
    """Make a fresh child of the shim what a program expects to be."""
    # Its own session: kill(0, ...) of the kernel must not reach the shim.
    os.setsid()
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    if cgroup is not None:
        Cgroup(cgroup).join()
    limit_this_process()
