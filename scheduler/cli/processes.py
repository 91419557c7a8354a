"""Named child processes: started by exec, listened to, stopped together, gone with us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Self

#: From SIGTERM to SIGKILL.
STOP_WITHIN: Final = 10.0
LOOK_EVERY: Final = 0.05
#: Lines of output that are kept of each process.
KEPT: Final = 1_000
#: Waits before a process that died is started again; it begins anew after one that lived long.
BACK_OFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
LIVED_LONG: Final = 30.0

# Reads until the pipe closes, which the kernel does however we end; see store/embedded.py.
_WATCH: Final = 'read -r _; kill "$0"'


class ProcessDied(RuntimeError):
    """A process ended while it was waited for; the message ends with what it said last."""


@dataclass(slots=True)
class _Child:
    """One process and how to start it again."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    process: subprocess.Popen[str]
    watcher: subprocess.Popen[bytes]
    listener: threading.Thread
    started: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    deaths: int = 0
    stopped: bool = False  #: by us; it is not started again
    due: float | None = None  #: when it is to be started again


class ProcessGroup:
    """Child processes by name. Each has a session of its own, so Ctrl-C reaches only us.

    ``hear(name, line)`` is given each line of output, in a thread of that child. Used from one
    thread; leaving the context stops all.
    """

    def __init__(self, hear: Callable[[str, str], None] = lambda *_: None) -> None:
        self._hear = hear
        self._children: dict[str, _Child] = {}
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    @property
    def names(self) -> list[str]:
        """In the order in which they were first started."""
        return list(self._children)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a process, ``env`` added to our environment; its pid.

        A name may be used again when its process is over.
        """
        if self.alive(name):
            raise ValueError(f"{name} already runs")
        added = dict(env or {})
        lines: deque[str] = deque(maxlen=KEPT)
        with ExitStack() as failure:
            process = subprocess.Popen(
                list(argv),
                env={**os.environ, "PYTHONUNBUFFERED": "1", **added},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            failure.callback(process.kill)
            watcher = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, str(process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            failure.pop_all()
        listener = threading.Thread(
            target=self._listen, args=(name, process, lines), name=f"hear-{name}", daemon=True
        )
        listener.start()
        self._children[name] = _Child(
            name, argv, added, process, watcher, listener, monotonic(), lines
        )
        return process.pid

    def pid(self, name: str) -> int:
        """Its process id, also when it is over."""
        return self._children[name].process.pid

    def alive(self, name: str) -> bool:
        """Whether there is such a process and it has not ended."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def output(self, name: str) -> list[str]:
        """The last lines it has printed."""
        with self._news:
            return list(self._children[name].lines)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and nothing else: SIGKILL, SIGSTOP, SIGCONT, ..."""
        self._children[name].process.send_signal(number)

    def wait(self, name: str, within: float = STOP_WITHIN) -> int:
        """Wait until it has ended; its exit code, negative for a signal. Raises TimeoutError."""
        child = self._children[name]
        try:
            code = child.process.wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{name} did not end within {within:g} s") from None
        _let_go(child)
        return code

    def stop(self, name: str, within: float = STOP_WITHIN) -> int:
        """SIGTERM, and SIGKILL after a while; its exit code."""
        self._ask_to_stop(name)
        return self._see_off(name, monotonic() + within)

    def stop_all(self, within: float = STOP_WITHIN) -> None:
        """Stop all at once, the last started first."""
        deadline = monotonic() + within
        for name in reversed(self._children):
            self._ask_to_stop(name)
        for name in reversed(self._children):
            self._see_off(name, deadline)

    def wait_for(self, name: str, condition: Callable[[], bool], within: float = 30.0) -> None:
        """Wait until a condition holds. Raises ProcessDied, TimeoutError."""
        deadline = monotonic() + within
        while not condition():
            if not self.alive(name):
                raise ProcessDied(f"{name} ended with {self.wait(name)}: {self._last_words(name)}")
            if monotonic() > deadline:
                raise TimeoutError(
                    f"{name} was not ready within {within:g} s: {self._last_words(name)}"
                )
            with self._news:
                self._news.wait(LOOK_EVERY)

    def wait_for_line(self, name: str, text: str, within: float = 30.0) -> str:
        """Wait for a line that contains a text; that line. Raises ProcessDied, TimeoutError."""

        def found() -> list[str]:
            return [line for line in self.output(name) if text in line]

        self.wait_for(name, lambda: bool(found()), within)
        return found()[0]

    def revive(self) -> list[str]:
        """Start those again that died by themselves and whose back-off is over; their names.

        To be called again and again; a death is noticed by one call and answered by a later one.
        """
        now, revived = monotonic(), []
        for child in list(self._children.values()):
            if child.stopped or child.process.poll() is None:
                continue
            if child.due is None:
                _let_go(child)
                lived_long = now - child.started > LIVED_LONG
                child.deaths = 1 if lived_long else child.deaths + 1
                child.due = now + BACK_OFF[min(child.deaths, len(BACK_OFF)) - 1]
                self._hear(child.name, f"ended with {child.process.returncode}, starts again")
            elif now >= child.due:
                self.start(child.name, child.argv, child.env)
                self._children[child.name].deaths = child.deaths
                revived.append(child.name)
        return revived

    def _ask_to_stop(self, name: str) -> None:
        child = self._children[name]
        child.stopped = True
        if child.process.poll() is None:
            child.process.terminate()
            # One that was stopped by SIGSTOP hears nothing before it goes on.
            child.process.send_signal(signal.SIGCONT)

    def _see_off(self, name: str, deadline: float) -> int:
        child = self._children[name]
        try:
            child.process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        _let_go(child)
        return child.process.returncode

    def _listen(self, name: str, process: subprocess.Popen[str], lines: deque[str]) -> None:
        if process.stdout is None:
            return
        with process.stdout as output:
            for line in output:
                text = line.rstrip("\n")
                with self._news:
                    lines.append(text)
                    self._news.notify_all()
                self._hear(name, text)

    def _last_words(self, name: str) -> str:
        said = self.output(name)
        return said[-1] if said else "it said nothing"


def _let_go(child: _Child) -> None:
    """Its process is over: its watcher must not aim at a number that may be another's."""
    child.watcher.kill()
    with suppress(BrokenPipeError):
        child.watcher.communicate()
    # What it printed last is still on its way; a grandchild may hold the pipe for ever.
    child.listener.join(1.0)
