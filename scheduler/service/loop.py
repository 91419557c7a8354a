"""Runs one function again and again in a thread, until it is told to stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from scheduler.observability.logs import get_logger

_LONGEST_BACKOFF_S = 5.0


class Service:
    """A named loop around ``run_once``.

    ``run_once`` returns the seconds to wait before it wants to run again. What it raises is logged,
    and answered with a back-off from a tenth of a second to five; the loop itself never dies.
    """

    def __init__(self, name: str, run_once: Callable[[], float]) -> None:
        self._name = name
        self._run_once = run_once
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._log = get_logger(service=name)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """Run at once instead of at the end of the wait."""
        self._wake.set()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ask it to end and wait; whether it did."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                pause = self._run_once()
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
                failures += 1
                longest = min(_LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 10))
                pause = longest * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
                self._log.warning(
                    "service.failed",
                    error=str(error),
                    kind=type(error).__name__,
                    again_in=round(pause, 2),
                )
            if pause > 0:
                self._wake.wait(pause)
            self._wake.clear()
