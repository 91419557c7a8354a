"""A profile of the thread that leads, taken while somebody asked for one; nothing is measured else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from structlog.typing import FilteringBoundLogger

from scheduler.domain.clock import Clock
from scheduler.domain.errors import SchedulerError
from scheduler.store.profiles import LONGEST_S

if TYPE_CHECKING:
    from pyinstrument import Profiler

#: Five thousand stacks in half a minute show what takes a hundredth, and cost less than that.
_SAMPLE_S = 0.005

Put = Callable[[str, dict[str, Any]], None]


class Profiling:
    """Profiles of one term. It begins and ends in the thread that leads, whose stack is looked at."""

    def __init__(self, term: int, clock: Clock, put: Put, log: FilteringBoundLogger) -> None:
        self._term = term
        self._clock = clock
        self._put = put
        self._log = log
        self._running: tuple[Profiler, str, float] | None = None

    def turn(self, asked: Sequence[str]) -> None:
        """End what is over, begin what was asked: ``term token ms`` as the inbox has it."""
        if self._running is not None and self._clock.monotonic() >= self._running[2]:
            self._end()
        for text in asked:
            term, token, ms = text.split(" ")
            if term != str(self._term):
                continue
            if self._running is not None:
                self._deliver(token, lambda: {"error": "a profile of it is being taken already"})
            else:
                self._begin(token, min(int(ms) / 1000, LONGEST_S))

    def _begin(self, token: str, seconds: float) -> None:
        # Only who is asked for a profile pays for the library.
        from pyinstrument import Profiler  # noqa: PLC0415

        profiler = Profiler(interval=_SAMPLE_S, async_mode="disabled")
        profiler.start(target_description=f"term {self._term}")
        self._running = (profiler, token, self._clock.monotonic() + seconds)
        self._log.info("profile.began", seconds=seconds)

    def _end(self) -> None:
        assert self._running  # noqa: S101 - only turn() calls it
        (profiler, token, _), self._running = self._running, None
        session = profiler.stop()
        self._log.info("profile.taken", samples=session.sample_count)
        self._deliver(token, session.to_json)

    def _deliver(self, token: str, made: Callable[[], dict[str, Any]]) -> None:
        """Beside the thread that leads: to pack a minute takes a fifth of a second."""

        def deliver() -> None:
            try:
                self._put(token, made())
            except SchedulerError as error:
                self._log.warning("profile.lost", says=str(error))

        threading.Thread(target=deliver, name="profile", daemon=True).start()
