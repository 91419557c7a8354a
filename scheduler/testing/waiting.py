"""Waiting for something to become true, with a deadline and a sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from scheduler.domain.clock import SystemClock

T = TypeVar("T")


def wait_until(truth: Callable[[], T], *, within: float, saying: str, every: float = 0.02) -> T:
    """Ask until the answer is true, and return it; AssertionError with the sentence when time is up (s)."""
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + within
    while True:
        if answer := truth():
            return answer
        if clock.monotonic() >= deadline:
            raise AssertionError(f"{saying} (waited {within} s)")
        pause.wait(every)
