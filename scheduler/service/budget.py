"""Calls something that may hang: in a thread of its own, for as long as it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class OverBudget(Exception):
    """It took longer than it may, or still does."""


class Budgeted:
    """One thread for the calls of one thing that is not trusted to return.

    Python cannot end a thread, so a call that hangs is left behind, and as long as it does the next
    one is refused at once: a thing that hangs costs one thread and one budget, however often it is asked.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._free = threading.Event()
        self._free.set()

    def call(self, what: Callable[[], None], seconds: float) -> None:
        """Run it and wait for it. Raises what it raises, and OverBudget."""
        if not self._free.is_set():
            raise OverBudget(f"{self._name} still hangs in the call before this one")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        raised: list[BaseException] = []

        def run() -> None:
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                raised.append(error)

        self._free.clear()
        self._calls.put(run)
        if not self._free.wait(seconds):
            raise OverBudget(f"{self._name} took longer than {seconds:g} s")
        if raised:
            raise raised[0]

    def close(self) -> None:
        """Let the thread end once it is free."""
        if self._thread is not None:
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self._free.set()
