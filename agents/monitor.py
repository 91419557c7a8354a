"""The output monitor: notices in what a kernel prints that its work is done, or that it hangs.

It lives in the shim, between the kernel and the pipes to the agent. The pattern is the user's, and
Python's `re` may need for ever for one line: here that costs the kernel it belongs to and nobody else.
A kernel that prints faster than its lines can be looked at waits, as it would for a slow reader.
"""

from __future__ import annotations

import os
import re
import select
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from agents import facts
from scheduler.domain.monitor import LONGEST_LINE, done_line
from scheduler.protocol.report import EndReason

#: What the shim says of a kernel that it stopped for its output.
DONE: Final = str(EndReason.DONE_PATTERN)
SILENT: Final = str(EndReason.SILENT)

_NS: Final = 1_000_000_000
_READ: Final = 64 * 1024
#: Of CPU time: what a busy machine takes away from the shim is not the pattern's fault.
_LINE_S: Final = 0.1
#: Then the shim looks at the lease, the deadline and the memory again.
_ROUND_NS: Final = _NS // 10
#: The agent gives a shim a second to confirm that all is dead.
_FINISH_NS: Final = _NS // 2
_NEVER_NS: Final = 2**62
_SLOW: Final = b"[scheduler] done_pattern takes too long on a line of this output; such lines are passed over.\n"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched of a kernel's output."""

    done_pattern: str  #: a whole line that matches ends it; "" is none
    silence_ms: int  #: nothing at all for so long ends it; 0 is never


class _SlowPatternError(Exception):
    """A line took too long."""


@dataclass(slots=True)
class _Stream:
    """One of the two, on its way from the kernel to the agent."""

    source: int
    sink: int
    unsent: bytes = b""
    unseen: bytearray = field(default_factory=bytearray)  #: lines that were not looked at
    ended: bool = False
    deaf: bool = False  #: nobody reads at the other end

    def read(self) -> bytes:
        """What lies in the pipe now."""
        try:
            data = os.read(self.source, _READ)
        except BlockingIOError:
            return b""
        self.ended = not data
        self.unsent += data
        return data

    def send(self) -> None:
        """Hand on as much as there is room for."""
        try:
            while self.unsent and not self.deaf:
                self.unsent = self.unsent[os.write(self.sink, self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.deaf = True
        if self.deaf:
            self.unsent = b""

    def line(self) -> bytes | None:
        """Take the next whole line, without its end; None when there is none."""
        end = self.unseen.find(b"\n")
        if end < 0:
            # Of a line that goes on and on, only the beginning is kept.
            del self.unseen[LONGEST_LINE:]
            return None
        line = bytes(self.unseen[: min(end, LONGEST_LINE)])
        del self.unseen[: end + 1]
        return line.removesuffix(b"\r")

    def turn_to(self, poll: select.poll, *, may_read: bool) -> None:
        """Wait for what can go on: an end that is closed would wake us all the time."""
        wants = ((self.source, may_read, select.POLLIN), (self.sink, self.unsent, select.POLLOUT))
        for fd, wanted, mask in wants:
            if wanted:
                poll.register(fd, mask)
            else:
                try:
                    poll.unregister(fd)
                except KeyError:
                    continue


class OutputMonitor:
    """Watches one kernel's stdout and stderr, which it passes on unchanged. Raises InvalidSpec."""

    def __init__(self, watch: Watch, stdout: int, stderr: int) -> None:
        self._pattern = done_line(watch.done_pattern) if watch.done_pattern else None
        self._silence_ns = watch.silence_ms * 1_000_000
        self._heard_ns = facts.boottime_ns()
        self._behind = False  #: lines wait to be looked at
        self._slow = False
        self.done = False  #: a line matched
        self._streams, writers = [], []
        for sink in (stdout, stderr):
            source, writer = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(source, False)
            os.set_blocking(sink, False)
            self._streams.append(_Stream(source, sink))
            writers.append(writer)
        self.writers = (writers[0], writers[1])  #: for the kernel
        signal.signal(signal.SIGVTALRM, _too_slow)

    def let_go(self) -> None:
        """In a child that does not exec: leave all to the shim."""
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        for stream in self._streams:
            os.close(stream.source)
            os.close(stream.sink)

    def begin(self) -> None:
        """The kernel's work begins now."""
        self._heard_ns = facts.boottime_ns()

    def pass_on(self, poll: select.poll, *, look: bool) -> None:
        """Move what can be moved without waiting, and look at it for a while."""
        until_ns = facts.boottime_ns() + _ROUND_NS
        for stream in self._streams:
            stream.send()
            if not stream.unsent and not self._behind and (data := stream.read()):
                self._heard_ns = facts.boottime_ns()
                stream.unseen += data
                stream.send()
        self._look(until_ns if look else 0)
        for stream in self._streams:
            may_read = not (stream.ended or stream.unsent or self._behind)
            stream.turn_to(poll, may_read=may_read)

    def says(self, now_ns: int) -> str:
        """Why the kernel is to be stopped; empty when it is not."""
        if self.done:
            return DONE
        return SILENT if now_ns >= self._silent_ns else ""

    @property
    def due_ns(self) -> int:
        """When it must be asked again at the latest."""
        return 0 if self._behind else self._silent_ns

    @property
    def _silent_ns(self) -> int:
        """When the kernel has been silent for too long. What nobody took from it is no silence."""
        waits = self._behind or any(stream.unsent for stream in self._streams)
        return _NEVER_NS if waits or not self._silence_ns else self._heard_ns + self._silence_ns

    def finish(self, *, look: bool) -> None:
        """All that could print is dead: hand on the rest, and look at it, a last line without its end, too."""
        until_ns = facts.boottime_ns() + _FINISH_NS
        for stream in self._streams:
            while (data := stream.read()) and facts.boottime_ns() < until_ns:
                stream.unseen += data
                self._send_all(stream, until_ns)
            self._send_all(stream, until_ns)
            stream.unseen += b"\n" if stream.unseen else b""
        self._look(until_ns if look else 0)

    def _send_all(self, stream: _Stream, until_ns: int) -> None:
        poll = select.poll()
        poll.register(stream.sink, select.POLLOUT)
        while stream.unsent and (left := until_ns - facts.boottime_ns()) > 0:
            poll.poll(left // 1_000_000)
            stream.send()

    def _look(self, until_ns: int) -> None:
        """Look at whole lines until this moment; 0 drops them."""
        self._behind = False
        for stream in self._streams:
            if self._pattern is None or self.done or not until_ns:
                stream.unseen.clear()
                continue
            while (line := stream.line()) is not None and not self.done:
                self.done = self._matches(self._pattern, line)
                if facts.boottime_ns() >= until_ns:
                    self._behind = b"\n" in stream.unseen
                    break

    def _matches(self, pattern: re.Pattern[str], line: bytes) -> bool:
        text = line.decode("utf-8", "replace")
        try:
            # `re` looks for signals now and then, which nothing else would interrupt it for.
            signal.setitimer(signal.ITIMER_VIRTUAL, _LINE_S)
            try:
                return pattern.fullmatch(text) is not None
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _SlowPatternError:
            if not self._slow:
                self._slow = True
                self._streams[1].unsent += _SLOW
            return False


def _too_slow(_: int, __: FrameType | None) -> None:
    raise _SlowPatternError
