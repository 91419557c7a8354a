"""Runs callables, one after the other, inside a warm child. Imports little: it is forked often."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes an enum of each of 33 handlers: 30 us
import contextlib
import fcntl
import importlib
import json
import locale
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns
from types import FrameType
from typing import Any, Final, TextIO

from agents import channel, packets
from agents.facts import flush_c_streams
from agents.limits import limit_address_space

_SCRATCH_MODE: Final = stat.S_IFDIR | 0o700
_TERMINATED: Final = 128 + signal.SIGTERM
_NO_BYTES: Final = bytes(4)  #: an int of C, as FIONREAD writes it
# All but the real-time signals, of which there are as many again.
_WATCHED_SIGNALS: Final = range(1, signal.SIGRTMIN)
_WATCHED_LIMITS: Final = tuple(
    getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")
)
# Made once: json.dumps makes an encoder for each call that is not all defaults.
_encode: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class NoSuchCallableError(Exception):
    """The module or the function does not exist."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a callable ended, in the words of scheduler.protocol.report.EndReason."""

    reason: str
    exit_code: int
    error: str = ""
    result: str | None = None


def serve(requests: socket.socket, answers: socket.socket) -> None:
    """Run what comes until the agent hangs up or something is left behind that cannot be undone.

    Requests are packets. What a kernel printed must be read before the next one begins: the agent says so.
    """
    home, scratch = _Home.now(), _Scratch()
    stream = channel.Stream(answers)
    while packet := requests.recv(packets.READ)[packets.SERIAL.size :]:
        frame = stream.receive() if packet == channel.FOLLOWS else channel.unpack(packet)
        if frame is None:
            return
        began = monotonic_ns()
        ended = _run(frame, home, scratch)
        took_us = (monotonic_ns() - began) // 1000
        clean = home.restore() and scratch.is_usable
        printed = clean and _printed()
        head = {
            "reason": ended.reason,
            "exit_code": ended.exit_code,
            "error": ended.error,
            "clean": clean,
            "took_us": took_us,
            "printed": printed,
            "result": ended.result is not None,
        }
        channel.send(answers, head, (ended.result or "").encode())
        if not clean or (printed and stream.receive() is None):
            return


def _printed() -> bool:
    """Whether something lies in the pipes that the agent has not read."""
    return any(fcntl.ioctl(fd, termios.FIONREAD, _NO_BYTES) != _NO_BYTES for fd in (1, 2))


def _run(frame: channel.Frame, home: _Home, scratch: _Scratch) -> Ended:
    head = frame.head
    work = json.loads(frame.body.decode())
    try:
        scratch.make_ready(head["scratch"])
    except OSError as error:
        return Ended("raised", 1, f"There is no room for its scratch directory: {error}.")
    _signal.signal(signal.SIGTERM, _terminate)
    try:
        ended = _call(work, head, home)
    finally:
        _signal.signal(signal.SIGTERM, _signal.SIG_IGN)
        _flush()
    with contextlib.suppress(OSError):
        scratch.make_empty(head["scratch"])
    return ended


def _terminate(_: int, __: FrameType | None) -> None:
    """A stop begins: let finally clauses run, then be gone. The grace bounds how long."""
    raise SystemExit(_TERMINATED)


def _call(work: Mapping[str, Any], head: Mapping[str, Any], home: _Home) -> Ended:
    try:
        home.variables.put_on(head["env"])
        if head["address_space"]:
            limit_address_space(head["address_space"])
        function = find(work["callable"])
        value = function(*work.get("args", ()), **work.get("kwargs", {}))
        return _result(value, head["max_result"]) if head["wants_result"] else Ended("exited", 0)
    except NoSuchCallableError as error:
        return Ended("not_found", 1, str(error))
    except SystemExit as leaving:
        return Ended("exited", _exit_code(leaving.code))
    except BaseException as error:  # noqa: BLE001 - whatever a user's code raises is its outcome
        return Ended("raised", 1, _trace(error, head["max_error"]))


def find(target: str) -> Callable[..., Any]:
    """Import ``module:function``. Raises NoSuchCallableError, and whatever the module raises."""
    module_name, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that exists and itself imports a missing one is the module's error.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise NoSuchCallableError(
            f"There is no module {module_name!r} on this agent's path."
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise NoSuchCallableError(f"Module {module_name!r} has no {path!r}.") from error
    if not callable(found):
        raise NoSuchCallableError(f"{target} is a {type(found).__name__}, which cannot be called.")
    called: Callable[..., Any] = found
    return called


def _result(value: object, most: int) -> Ended:
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        return Ended("bad_result", 1, f"The result is not JSON: {error}.")
    if len(text) > most:
        return Ended(
            "bad_result", 1, f"The result takes {len(text)} bytes of JSON, the limit is {most}."
        )
    return Ended("exited", 0, result=text)


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    # As Python itself does it for sys.exit("text"); a kernel that closed its files, or whose text
    # cannot be made, has still ended with 1.
    with contextlib.suppress(Exception):
        print(code, file=sys.stderr)  # noqa: T201
    return 1


def _trace(error: BaseException, most: int) -> str:
    """The traceback without our own frames, its last bytes if it is long."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    return text.encode("utf-8", "replace")[-most:].decode("utf-8", "ignore")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    flush_c_streams()


class _Scratch:
    """The scratch directory, kept between kernels that did not touch it.

    Making and removing one costs more than the rest of a short kernel on a disk with a journal.
    """

    def __init__(self) -> None:
        self._inode = 0

    def make_ready(self, path: str) -> None:
        """Before a kernel: see to it that the directory exists; it was left empty. Raises OSError."""
        if not self._is_ours(path):
            self.make_empty(path)

    def make_empty(self, path: str) -> None:
        """See to it that the directory exists, is the one we made, and is empty. Raises OSError."""
        if self._is_ours(path) and self._is_empty(path):
            return
        self._inode = 0
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - a kernel may have put a link in its place
        os.mkdir(path, 0o700)  # noqa: PTH102 - a Path costs more than the call
        self._inode = os.lstat(path).st_ino

    def _is_ours(self, path: str) -> bool:
        try:
            found = os.lstat(path)
        except OSError:
            return False
        return found.st_ino == self._inode and found.st_mode == _SCRATCH_MODE

    @staticmethod
    def _is_empty(path: str) -> bool:
        # Not by its time of change, which is as coarse as 4 ms.
        try:
            return not os.listdir(path)  # noqa: PTH208 - a Path costs more than the call
        except OSError:
            return False

    @property
    def is_usable(self) -> bool:
        """Whether the next kernel can have it."""
        return self._inode != 0


class _Variables:
    """The child's own environment, under the variables of the kernel that runs or ran last.

    Those stay on until the next kernel brings its own, since nothing runs between the two; and what
    is there is compared as one mapping: to ask os.environ for each of thirty variables, and to set
    them, takes longer than all else that a short kernel costs.
    """

    def __init__(self) -> None:
        self._environ = os.environ
        self._all: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001 - the mapping under it
        self._own = dict(self._all)
        self._left = self._own  #: what is there unless the kernel changes it
        self._worn: Mapping[str, str] = {}

    def put_on(self, asked: Mapping[str, str]) -> None:
        """The variables of the next kernel. Raises ValueError for what can be none."""
        for name in self._worn.keys() - asked.keys():
            self._take_off(os.fsencode(name))
        for name, value in asked.items():
            if self._worn.get(name) != value:
                self._environ[name] = value
        self._left, self._worn = dict(self._all), asked

    def restore(self) -> None:
        """Undo what a kernel did to them."""
        os.environ = self._environ  # noqa: B003 - the very same; a kernel may have put another there
        if self._all != self._left:
            for name in self._all.keys() | self._own.keys():
                self._take_off(name)
            self._left, self._worn = self._own, {}

    def _take_off(self, name: bytes) -> None:
        if name in self._own:
            os.environb[name] = self._own[name]
        else:
            del os.environb[name]


@dataclass(frozen=True, slots=True)
class _Home:
    """What the child looked like before any kernel ran in it."""

    variables: _Variables
    cwd: str
    path: list[str]
    streams: tuple[TextIO, TextIO, TextIO]
    handlers: tuple[Any, ...]
    files: tuple[int, ...]
    umask: int
    locale: str
    address_space: tuple[int, int]
    process: tuple[object, ...]

    @classmethod
    def now(cls) -> _Home:
        _signal.signal(signal.SIGTERM, _signal.SIG_IGN)
        limit_address_space(0)
        umask = os.umask(0o022)
        os.umask(umask)
        return cls(
            variables=_Variables(),
            cwd=os.getcwd(),  # noqa: PTH109 - compared as text
            path=list(sys.path),
            streams=(sys.stdin, sys.stdout, sys.stderr),
            handlers=_handlers(),
            files=_files(),
            umask=umask,
            locale=locale.setlocale(locale.LC_ALL),
            address_space=resource.getrlimit(resource.RLIMIT_AS),
            process=_process(),
        )

    def restore(self) -> bool:
        """Undo what a kernel changed; False when it left something that cannot be undone."""
        sys.stdin, sys.stdout, sys.stderr = self.streams
        if sys.path != self.path:
            sys.path = list(self.path)
        self.variables.restore()
        os.umask(self.umask)
        if locale.setlocale(locale.LC_ALL) != self.locale:
            locale.setlocale(locale.LC_ALL, self.locale)
        if resource.getrlimit(resource.RLIMIT_AS) != self.address_space:
            limit_address_space(0)
        try:
            if os.getcwd() != self.cwd:  # noqa: PTH109 - compared as text
                os.chdir(self.cwd)
        except OSError:
            return False
        return self._left_nothing()

    def _left_nothing(self) -> bool:
        if any(stream.closed for stream in self.streams) or _files() != self.files:
            return False
        if _handlers() != self.handlers or _process() != self.process:
            return False
        if any(signal.getitimer(signal.ITIMER_REAL)):
            return False
        # Linux counts a directory per thread; threads of C libraries are among them.
        if threading.active_count() > 1 or os.stat("/proc/self/task").st_nlink > 3:  # noqa: PLR2004, PTH116
            return False
        # The child is a subreaper: whatever its kernels started and left is its child now.
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        return False


def _handlers() -> tuple[Any, ...]:
    return tuple(map(_signal.getsignal, _WATCHED_SIGNALS))


def _files() -> tuple[int, ...]:
    """Which files stdin, stdout and stderr are; () when one was closed."""
    try:
        return os.fstat(0).st_ino, os.fstat(1).st_ino, os.fstat(2).st_ino
    except OSError:
        return ()


def _process() -> tuple[object, ...]:
    """What a process cannot always take back: blocked signals, niceness, lowered limits."""
    return (
        _signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        os.getpriority(os.PRIO_PROCESS, 0),
        *map(resource.getrlimit, _WATCHED_LIMITS),
    )
