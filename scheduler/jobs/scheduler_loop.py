"""The loop that drives a term: one turn after the other, woken by what happens, until the term is over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.domain.clock import Clock
from scheduler.domain.errors import StoreUnavailable
from scheduler.observability.logs import get_logger

#: What is asked of all offices that have jobs.
EVERY_OFFICE: Final = "*"
_READ_ANEW_S: Final = 0.1
_UNBLOCK_EVERY_S: Final = 0.02


class Term(Protocol):
    """One term of one group. A turn waits until something happens, at most a second."""

    def load(self) -> None:
        """Read all that it knows anew. Raises StoreUnavailable."""
        ...

    def run_once(self) -> None:
        """One turn: hear, apply, look at the clock, place. Raises Deposed, StoreUnavailable."""
        ...

    def offices(self) -> set[str]:
        """Offices of which jobs wait or are placed."""
        ...

    def look_again(self, office: str) -> None:
        """Decide the jobs of an office anew in the next turn, whatever they were refused for."""
        ...

    def take_asked(self) -> Sequence[str]:
        """Offices that somebody asked to process since this was asked last."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a loop is told about the replica it runs in."""

    goes_on: Callable[[], bool]  #: False once the term is over
    trusted: Callable[[], bool]  #: whether the lock is still ours, though Redis did not answer
    look_anew: Callable[[], None]  #: leave all connections: the next command opens new ones
    before_load: Callable[[], None]
    unblock: Callable[[], None]  #: end the wait of a turn that listens to a quiet Redis
    after_turn: Callable[[], None]  #: what else a leader does, such as planning chores


class SchedulerLoop:
    """The scheduler's loop (seed 002): a thread that leads one group for one term.

    Offices are served fairly by the group's scheduler, placement by placement; a tick places for all
    of them. Where nobody tells of a change, the sweep of the term looks at everything each 5 s.
    """

    def __init__(
        self, name: str, clock: Clock, around: Surroundings, body: Callable[[SchedulerLoop], None]
    ) -> None:
        self._clock = clock
        self._around = around
        self._term: Term | None = None
        self._loaded = False
        self._turn_began = clock.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=body, args=(self,), name=name, daemon=True)
        self._log = get_logger(loop=name)

    @property
    def turn_began(self) -> float:
        """When the turn that goes on now began, on the monotonic clock (s); read by other threads."""
        return self._turn_began

    @property
    def stands_at(self) -> str:
        """The file, line and function that it is in now."""
        # Of another thread, as of one that hangs, nothing else tells.
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001
        if frame is None:
            return ""
        return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"

    def start(self) -> None:
        """Begin: the body sets up a term, hands it to `run`, and hears how it ended."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the term goes on."""
        return self._thread.is_alive()

    def run(self, term: Term) -> None:
        """Drive a term until it is over; where Redis did not answer, go on from what it holds."""
        self._term, self._loaded = term, False
        while not self._stopping.is_set() and self._around.goes_on():
            self._turn_began = self._clock.monotonic()
            try:
                self.tick()
            except StoreUnavailable as error:
                if not self._around.trusted():
                    raise
                # The picture may be ahead of what was written. Still ours is the lock: read it anew,
                # and over new connections: one client may have met the new primary, the other not.
                self._log.warning("leader.unheard", says=str(error))
                self._loaded = False
                self._around.look_anew()
                self._stopping.wait(_READ_ANEW_S)

    def tick(self) -> None:
        """One turn for all offices, and a further look at those that somebody asked to process."""
        term = self._term
        if term is None:
            return
        if not self._loaded:
            self._around.before_load()
            term.load()
            self._loaded = True
        term.run_once()
        for office in term.take_asked():
            for each in self.get_active_offices() if office == EVERY_OFFICE else [office]:
                self.process_office(each)
        self._around.after_turn()

    def process_office(self, office: str) -> None:
        """Look at an office in the next tick, which comes at once."""
        if self._term is not None:
            self._term.look_again(office)

    def get_active_offices(self) -> Sequence[str]:
        """Offices of which jobs wait or are placed, by name."""
        return sorted(self._term.offices()) if self._term is not None else ()

    def stop(self, within: float) -> None:
        """End the term and wait, at most so long (s); it may be listening to a quiet Redis."""
        self._stopping.set()
        deadline = self._clock.monotonic() + within
        while self._thread.is_alive() and self._clock.monotonic() < deadline:
            with suppress(StoreUnavailable):
                self._around.unblock()
            self._thread.join(_UNBLOCK_EVERY_S)
