"""What the supervisor knows of a kernel, and of the processes that hold it."""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents import facts
from agents.channel import Channel
from agents.leash import Row
from agents.limits import MIB, Cgroup
from agents.logs import OutputLog
from agents.monitor import DONE, SILENT, Watch
from agents.packets import LONGEST, Packets
from agents.reactor import Timer
from scheduler.protocol.order import StartOrder
from scheduler.protocol.report import EndReason, KernelReport, ReportKind

_READ = 64 * 1024
_PIPE = 1024 * 1024
_SHORT = LONGEST // 8  # what it is sent with takes its room, too, and JSON may write a byte as six
_UNKNOWN_US = 1_000_000  # of a child that ran nothing yet


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a kernel ended."""

    reason: EndReason
    exit_code: int | None = None
    signal: int | None = None
    error: str = ""
    result: str | None = None


@dataclass(slots=True, eq=False)
class Kernel:
    """One kernel, from its claim to the report of its end."""

    order: StartOrder
    payload: bytes
    work: dict[str, Any]
    log: OutputLog
    serial: int = 0
    host: Host | None = None
    stopping: EndReason | None = None  #: why it is being stopped
    says: str = ""  #: the same as a sentence
    timer: Timer | None = None  #: of its deadline
    began_ns: int = 0  #: when it was given its process, on CLOCK_BOOTTIME
    timeout_ms: int = 0  #: how long it may run: as ordered, or as it was told since
    waits_since_ns: int = 0
    alone: bool = False  #: it is handed to a child without others
    outlived: bool = False  #: the child it lay before died, and another was to run it
    over: bool = False

    def __post_init__(self) -> None:
        self.timeout_ms = self.timeout_ms or self.order.timeout_ms

    @property
    def deadline_ns(self) -> int:
        """When it must be over; the leash has 64 bits."""
        return min(2**62, self.began_ns + self.timeout_ms * 1_000_000)

    def unbegin(self) -> None:
        """It waits again, and has not begun."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer, self.began_ns = None, 0

    def let_run(self, timeout_ms: int) -> bool:
        """It may run for so long from its start; whether it runs by another deadline now."""
        if self.timeout_ms == timeout_ms:
            return False  # each beat says it again
        self.timeout_ms = timeout_ms
        if self.host is None or self.timer is None or self.stopping is not None:
            return False  # it counts from when it begins
        self.timer.cancel()
        self.host.row.prolong(self.deadline_ns)
        return True

    @property
    def watch(self) -> Watch | None:
        """What is watched of its output; such a kernel has a host of its own."""
        order = self.order
        if order.done_pattern or order.silence_ms:
            return Watch(order.done_pattern, order.silence_ms)
        return None

    @property
    def has_own_host(self) -> bool:
        """Whether nothing else runs in its host, before it or after."""
        return "command" in self.work or self.watch is not None

    def goes_with(self, other: Kernel) -> bool:
        """Whether one may be handed over behind the other: the same rules hold for both, and they are short."""
        return (
            not (self.alone or other.alone)
            and max(len(self.payload), len(other.payload)) < _SHORT
            and self.memory == other.memory
            and self.order.on_lost == other.order.on_lost
        )

    @property
    def memory(self) -> int:
        """Its memory slot in bytes; 0 when it asked for none."""
        return min(self.order.slots.get("mem", 0) * MIB, 2**62)


@dataclass(slots=True, eq=False)
class Host:
    """A shim, and through it a command or a warm child."""

    number: int
    index: int  #: of its row on the leash
    row: Row
    shim: Channel
    child: Channel | None  #: of a warm child
    packets: Packets | None  #: what lies before a warm child
    outputs: dict[int, str]  #: our ends of the pipes, and which stream each is
    cgroup: Cgroup | None
    keypair: str | None = None  #: whose callables a warm child ran; None for nobody's
    pid: int = 0  #: of the shim; 0 until it is born
    kernel: Kernel | None = None  #: what it is at, as far as it was heard
    behind: deque[Kernel] = field(default_factory=deque)  #: what was handed to it, too
    took_us: int = _UNKNOWN_US  #: its last kernel
    outcome: Outcome | None = (
        None  #: what the child said of the kernel before its processes were gone
    )
    dying: bool = False
    untouched: bool = False  #: it is dying, and never came to what it is at
    served: int = 0
    idle_since_ns: int = 0
    limited_to: int = field(default=0)  #: what its cgroup allows now
    _poll: select.poll = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._poll = select.poll()

    def drain(self) -> None:
        """Hand all output that is in the pipes to the kernel's log."""
        # Most kernels print nothing: one question to both pipes instead of a failed read of each.
        if not self._poll.poll(0):
            return
        for fd, stream in list(self.outputs.items()):
            # No pipe holds more than this; somebody else who writes to it must not keep us here.
            for _ in range(_PIPE // _READ):
                data = self.read(fd)
                if not data:
                    break
                if self.kernel is not None:
                    self.kernel.log.feed(stream, data, facts.boottime_ns())
                if len(data) < _READ:
                    break

    def hear(self, fd: int, stream: str) -> None:
        """One of our ends, from which output comes."""
        self.outputs[fd] = stream
        self._poll.register(fd, select.POLLIN)

    def read(self, fd: int) -> bytes | None:
        """What one pipe holds; b"" at its end, None when it is empty now."""
        try:
            return os.read(fd, _READ)
        except BlockingIOError:
            return None

    def fds(self) -> Iterator[int]:
        """All our ends."""
        yield self.shim.fileno()
        if self.child is not None:
            yield self.child.fileno()
        yield from self.outputs

    def close(self) -> None:
        """Hang up. A shim that still lives kills all it holds."""
        self.shim.close()
        if self.child is not None:
            self.child.close()
        if self.packets is not None:
            self.packets.close()
        for fd in self.outputs:
            os.close(fd)
        self.outputs.clear()


def outcome_of(host: Host, kernel: Kernel, cause: str, code: int, serial: int) -> Outcome:
    """Why a kernel is over, all its processes being dead: what we did to it, or it itself."""
    ended = _by_itself(host, cause, code)
    exit_code, number = ended.exit_code, ended.signal
    if cause == DONE:
        # Before what we did to it meanwhile: its work was done, and a result it returned holds.
        says = ended.error if ended.reason is EndReason.RAISED else _SAID_DONE
        return Outcome(EndReason.DONE_PATTERN, exit_code, number, says, ended.result)
    if kernel.stopping is not None:
        return Outcome(kernel.stopping, exit_code, number, kernel.says)
    if cause == "lease":
        return Outcome(EndReason.KILLED, exit_code, number, "The agent's lease ran out.")
    if cause not in _LIMITS:
        return ended
    if serial not in (0, kernel.serial):
        says = "Its process was stopped for the kernel before it."
        return Outcome(EndReason.KILLED, exit_code, number, says)
    reason, sentence = _LIMITS[cause]
    return Outcome(reason, exit_code, number, sentence(kernel))


_SAID_DONE = "A line of its output said that its work was done."


def _by_itself(host: Host, cause: str, code: int) -> Outcome:
    if host.outcome is not None:
        return host.outcome
    if code < 0:
        says = _UNUSUAL.get(cause, f"It was killed by signal {-code}{_name_of(-code)}.")
        return Outcome(EndReason.KILLED, None, -code, says)
    if host.child is not None and code == 0:
        # os._exit(0), or a C library's exit(0). For sys.exit(0) the child itself has answered.
        says = "It ended its process with code 0 before it returned, so there is no result."
        return Outcome(EndReason.BAD_RESULT, code, error=says)
    return Outcome(EndReason.EXITED, code)


def _name_of(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal
        return ""


_UNUSUAL = {
    "hung_up": "It closed all its files, so nobody could hear its result; it was killed.",
    "not_forked": "This machine could not start another process.",
    "shim_killed": "The process that watches over it was killed, and it with that.",
}


def timeout_sentence(kernel: Kernel) -> str:
    """What people read of a kernel stopped at its deadline."""
    return f"It ran longer than its timeout of {kernel.timeout_ms / 1000:g} s."


def _memory_sentence(kernel: Kernel) -> str:
    return f"It used more than its {kernel.memory // MIB} MiB of memory."


def _silence_sentence(kernel: Kernel) -> str:
    return f"It printed nothing for {kernel.order.silence_ms / 1000:g} s."


#: Limits of the kernel for which a shim ended it.
_LIMITS = {
    "out_of_memory": (EndReason.OUT_OF_MEMORY, _memory_sentence),
    "timed_out": (EndReason.TIMED_OUT, timeout_sentence),
    SILENT: (EndReason.SILENT, _silence_sentence),
}


def report_of(order: StartOrder, kind: ReportKind, outcome: Outcome | None = None) -> KernelReport:
    """The report that answers an order."""
    return KernelReport(
        kind=kind,
        agent=order.agent,
        boot=order.boot,
        session=order.session,
        kernel=order.kernel,
        placement=order.placement,
        exit_code=outcome.exit_code if outcome else None,
        signal=outcome.signal if outcome else None,
        reason=str(outcome.reason) if outcome else "",
        error=outcome.error if outcome else "",
        result=outcome.result if outcome else None,
    )
