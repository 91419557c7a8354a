"""What the sessions of the acceptance tests run; each notes its start and end outside the product."""

import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

WITNESS = "WITNESS_FILE"


def note(what: str, name: str) -> None:
    """Append one line; a single write to a file opened for appending is never torn."""
    session, attempt = os.environ["SESSION_ID"], os.environ["SESSION_ATTEMPT"]
    with Path(os.environ[WITNESS]).open("ab", buffering=0) as file:
        file.write(f"{what} {session} {attempt} {name} {time.monotonic_ns()}\n".encode())


def work(seconds: float = 0.0) -> str:
    """Take a while, and say who did it."""
    note("start", "work")
    threading.Event().wait(seconds)
    note("end", "work")
    return os.environ["SESSION_ID"]


def tick(seconds: float) -> None:
    """Take a while, and say all the time that it lives: a killed one says no end."""
    name = f"tick-{secrets.token_hex(8)}"
    note("start", name)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        threading.Event().wait(0.05)
        note("tick", name)
    note("end", name)


def fail_until(attempt: int) -> int:
    """Raise in every attempt before the given one."""
    note("start", "fail_until")
    mine = int(os.environ["SESSION_ATTEMPT"])
    note("end", "fail_until")
    if mine < attempt:
        raise RuntimeError(f"attempt {mine} was meant to fail")
    return mine


def wait_for(path: str) -> str:
    """Run until a file appears."""
    note("start", "wait_for")
    while not Path(path).exists():
        threading.Event().wait(0.02)
    note("end", "wait_for")
    return path


#: A child that nobody asked to end; it writes to the witness until it is killed.
_STUBBORN = """
import os, signal, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
words = " ".join(["alive", os.environ["SESSION_ID"], os.environ["SESSION_ATTEMPT"], "child"])
while not threading.Event().wait(0.05):
    with open(os.environ["WITNESS_FILE"], "ab", buffering=0) as file:
        file.write(f"{words} {time.monotonic_ns()}\\n".encode())
"""


def with_children(seconds: float) -> None:
    """Leave children that ignore SIGTERM, one of them in a session of its own; both say that they live."""
    note("start", "with_children")
    for new_session in (False, True):
        subprocess.Popen([sys.executable, "-S", "-c", _STUBBORN], start_new_session=new_session)
    threading.Event().wait(seconds)
    note("end", "with_children")
