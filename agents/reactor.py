"""One thread that waits for many files, for what other threads ask, and for moments in time."""

from __future__ import annotations

import heapq
import os
import select
from collections import deque
from collections.abc import Callable
from typing import Final

from agents.facts import boottime_ns

_LONGEST_NS: Final = 1_000_000_000
_MANY: Final = 64


class Timer:
    """A call at a moment; to cancel it is to forget it."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not call any more."""
        self.call = None


class Reactor:
    """Readers by file descriptor, an inbox, timers. Only `ask` may be called from other threads."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], bool]] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._awake = False
        self.watch(self._wakeup, self._hear)

    def ask(self, what: Callable[[], None]) -> None:
        """Do something in this thread, soon, in the order of asking."""
        self._inbox.append(what)
        if not self._awake:
            self._awake = True
            os.eventfd_write(self._wakeup, 1)

    @property
    def asked(self) -> bool:
        """Whether something waits in the inbox."""
        return bool(self._inbox)

    def watch(self, fd: int, reader: Callable[[], None]) -> None:
        """Call the reader whenever there is something to read."""
        self._readers[fd] = reader
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Forget a file; it must still be open."""
        if self._readers.pop(fd, None) is not None:
            self._writers.pop(fd, None)
            self._epoll.unregister(fd)

    def write_soon(self, fd: int, writer: Callable[[], bool]) -> None:
        """Call the writer whenever there is room, until it says that it has nothing more."""
        if fd in self._readers and fd not in self._writers:
            self._writers[fd] = writer
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        """Call once, when CLOCK_BOOTTIME has come there."""
        timer = Timer(call)
        self._count += 1
        heapq.heappush(self._timers, (due_ns, self._count, timer))
        return timer

    def round(self) -> None:
        """Wait for something, a second at most, and answer it."""
        for fd, events in self._epoll.poll(self._pause_ns() / 1e9):
            if events & select.EPOLLOUT and (writer := self._writers.get(fd)) and not writer():
                del self._writers[fd]
                self._epoll.modify(fd, select.EPOLLIN)
            # A reader before this one may have closed this file.
            if events & ~select.EPOLLOUT and (reader := self._readers.get(fd)):
                reader()
        self._ring()

    def _pause_ns(self) -> int:
        self._sweep()
        if not self._timers:
            return _LONGEST_NS
        return min(_LONGEST_NS, max(0, self._timers[0][0] - boottime_ns()))

    def _sweep(self) -> None:
        """Drop cancelled timers: nearly all are, as few kernels reach their deadline."""
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        self._count_down -= 1
        if self._count_down <= 0:
            self._timers = [entry for entry in self._timers if entry[2].call is not None]
            heapq.heapify(self._timers)
            self._count_down = len(self._timers) + _MANY

    _count_down = _MANY

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= boottime_ns():
            if call := heapq.heappop(self._timers)[2].call:
                call()

    def _hear(self) -> None:
        os.eventfd_read(self._wakeup)
        self._awake = False
        while self._inbox:
            self._inbox.popleft()()
