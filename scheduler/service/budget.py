"""Calls something that may hang: in a thread of its own, for as long as it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

#: A thread without calls ends after this; the next call starts another.
_IDLE_S = 10.0


class OverBudget(Exception):
    """It took longer than it may, or still does."""


class Budgeted:
    """One thread for the calls of one thing that is not trusted to return.

    Python cannot end a thread, so a call that hangs is left behind, and as long as it does the next
    one is refused at once: a thing that hangs costs one thread and one budget, however often it is asked.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        # Between a call that comes and the thread that ends because none did. Held for a put or a look into
        # the queue; whoever holds it takes no other lock, and waits for nothing.
        self._lock = threading.Lock()
        self._runs = False
        self._free = threading.Event()
        self._free.set()

    @property
    def hangs(self) -> bool:
        """Whether a call has not come back yet."""
        return not self._free.is_set()

    def call(self, what: Callable[[], None], seconds: float) -> None:
        """Run it and wait for it. Raises what it raises, and OverBudget."""
        if self.hangs:
            raise OverBudget(f"{self._name} still hangs in the call before this one")
        raised: list[BaseException] = []

        def run() -> None:
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                raised.append(error)

        self._free.clear()
        with self._lock:
            self._calls.put(run)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        if not self._free.wait(seconds):
            raise OverBudget(f"{self._name} took longer than {seconds:g} s")
        if raised:
            raise raised[0]

    def _run(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if not self._calls.empty():
                        continue
                    self._runs = False
                    return
            call()
            self._free.set()
