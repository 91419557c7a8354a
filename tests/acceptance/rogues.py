"""Callables that misbehave, each in its own way."""

import ctypes
import locale
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

_STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    " signal.pause()"
)
MIB = 2**20


class MuteError(Exception):
    """Cannot even be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def good(number: int) -> list[Any]:
    """What the same agent must still do, and in which world."""
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    return [
        number * 2,
        Path.cwd() == Path(os.environ["WHERE"]),
        os.environ.get("LEAK", ""),
        f"{os.umask(0o022):o}",
        locale.setlocale(locale.LC_ALL),
        [getattr(handler, "__name__", str(handler)) for handler in handlers],
        os.getpriority(os.PRIO_PROCESS, 0),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set(),
        sys.stdin.read(),
        threading.active_count(),
    ]


def raises() -> NoReturn:
    raise LookupError("nothing here")


def raises_two_lines() -> NoReturn:
    raise LookupError("first line\nsecond line")


def raises_mute() -> NoReturn:
    raise MuteError


def raises_group() -> NoReturn:
    raise ExceptionGroup("two at once", [ValueError("one"), KeyError("two")])


def exits(code: Any) -> NoReturn:
    sys.exit(code)


def exits_mute() -> NoReturn:
    sys.exit(MuteError())  # type: ignore[arg-type]


def exits_at_once(code: int) -> NoReturn:
    os._exit(code)


def aborts() -> NoReturn:
    os.abort()


def segfaults() -> None:
    ctypes.string_at(0)


def interrupts() -> NoReturn:
    raise KeyboardInterrupt


def hogs() -> NoReturn:
    """Take more memory than the slot, page by page."""
    taken = bytearray(512 * MIB)
    for page in range(0, len(taken), 4096):
        taken[page] = 1
    while True:
        signal.pause()


def prints(size: int) -> None:
    """Lines of a hundred bytes."""
    for _ in range(size // 100):
        sys.stdout.write("x" * 99 + "\n")


def prints_one_line(size: int) -> None:
    sys.stdout.write("x" * size)


def prints_rubbish() -> None:
    os.write(1, b"caf\xe9 \xff\xfe\0end\n")


def forks() -> None:
    """Leave children behind that ignore SIGTERM, one in a session of its own."""
    for new_session in (False, True):
        child = subprocess.Popen(
            [sys.executable, "-c", _STUBBORN],
            start_new_session=new_session,
            stdout=subprocess.PIPE,
        )
        assert child.stdout
        child.stdout.readline()


def ignores_sigterm() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def closes_files() -> int:
    for number in range(3):
        os.close(number)
    return 1


def closes_streams() -> int:
    sys.stdin.close()
    sys.stdout.close()
    sys.stderr.close()
    return 1


def starts_threads() -> int:
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=False).start()
    return 1


def changes_its_world() -> int:
    """What a warm child puts right for the next session."""
    os.chdir("/")
    os.umask(0)
    os.environ["LEAK"] = "leaked"
    os.environ["HOME"] = "/nowhere"
    locale.setlocale(locale.LC_ALL, "C")
    sys.stdin = sys.stdout = sys.stderr = None
    sys.path = ()  # type: ignore[assignment]
    return 1


def changes_its_process() -> int:
    """What a process cannot always take back, so that a warm child is given up for it."""
    signal.signal(signal.SIGUSR1, print)
    signal.signal(signal.SIGTERM, print)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return 1


def fills_its_disk() -> NoReturn:
    """Write until there is no room."""
    with (Path(os.environ["SESSION_SCRATCH"]) / "full").open("wb") as file:
        while True:
            file.write(bytes(MIB))


def returns_object() -> object:
    return object()


def returns_set_inside() -> dict[str, set[int]]:
    return {"a": {1}}


def returns_nan() -> float:
    return float("nan")


def returns_large(size: int) -> str:
    return "x" * size


def returns_deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def returns_half_a_character() -> str:
    return "\ud800"


not_callable = 5
