# ruff: noqa: T201 - printing is what some of these are for
"""Callables the agent's tests run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn


def nothing() -> None:
    """Return at once."""


def add(*numbers: int, plus: int = 0) -> int:
    return sum(numbers) + plus


def say(text: str) -> None:
    print(text)
    print(text, file=sys.stderr)


def say_and_wait(text: str) -> None:
    """Print a line and stay until somebody ends us."""
    print(text)
    threading.Event().wait()


def flood_and_say(size: int, text: str) -> None:
    """Print much, then a line, and fail."""
    flood(size)
    print(text)
    raise ValueError(text)


def environment() -> dict[str, str]:
    return dict(os.environ)


def where() -> dict[str, Any]:
    return {"pid": os.getpid(), "cwd": str(Path.cwd()), "env": os.environ.get("LEAK", "")}


def misbehave() -> None:
    """Change what the next kernel would see."""
    os.environ["LEAK"] = "leaked"
    os.chdir("/")
    sys.path.insert(0, "/nowhere")


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def leave(code: Any) -> NoReturn:
    sys.exit(code)


def be_gone(code: int) -> NoReturn:
    os._exit(code)


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def not_json() -> object:
    return object()


def large(size: int) -> str:
    return "x" * size


def wait(marker: str | None = None) -> None:
    """Stay until somebody kills us."""
    if marker:
        with Path(marker).open("a") as file:
            file.write(f"{os.getpid()}\n")
    threading.Event().wait()


def once(marker: str) -> None:
    with Path(marker).open("a") as file:
        file.write("ran\n")


def thread() -> None:
    """Leave a thread behind."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def child() -> int:
    """Leave a process behind, in a session of its own."""
    return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid


def stubborn(family: str = os.devnull) -> None:
    """A family of seven that ignores SIGTERM and hides in sessions of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
            _stay(family)
    _stay(family)


def _stay(family: str) -> NoReturn:
    with Path(family).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while True:
        signal.pause()


def flood(size: int) -> None:
    line = "x" * 99 + "\n"
    for _ in range(size // 100):
        sys.stdout.write(line)


def hog(size: int) -> int:
    """Take memory and keep it."""
    data = bytearray(size)
    for index in range(0, size, 4096):
        data[index] = 1
    threading.Event().wait()
    return len(data)


def close_everything() -> None:
    os.closerange(0, 1024)
    while True:
        signal.pause()


def tidy(marker: str) -> None:
    """Write down that finally ran."""
    try:
        Path(marker).touch()
        threading.Event().wait()
    finally:
        Path(marker).write_text("tidied")


def litter() -> list[str]:
    """Say what lies in the scratch directory, then fill it."""
    scratch = Path(os.environ["SESSION_SCRATCH"])
    found = [path.name for path in scratch.iterdir()]
    (scratch / "litter").write_text("x")
    (scratch / "folder").mkdir()
    return found


def replace_scratch() -> None:
    """Put a link where the scratch directory was."""
    scratch = Path(os.environ["SESSION_SCRATCH"])
    scratch.rmdir()
    scratch.symlink_to(scratch.parent)


def shell(command: str) -> None:
    """Have another process do something."""
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - it is the tests' own


def close_files() -> None:
    """Close what the next kernel would write to."""
    os.close(1)
    os.close(2)
