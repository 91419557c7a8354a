"""The supervisor's processes: brings shims up, hears them and their children, buries them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from agents import facts
from agents.channel import BrokenFrameError, Channel, Frame
from agents.kernels import Host
from agents.monitor import Watch
from agents.nursery import Nursery
from agents.reactor import Reactor
from agents.shim import HUNG_UP

# A shim confirms within milliseconds of its SIGKILL; one that does not is stopped or stuck itself.
_SHIM_LATE_NS: Final = 1_000_000_000
_NO_FORKS_NS: Final = 500_000_000
# More forks at once only make each of them slower.
_FORKS_AT_ONCE: Final = max(2, os.cpu_count() or 1)


class Keeper(Protocol):
    """Who decides what hosts do."""

    def ready(self, host: Host) -> None:
        """A shim is born and may be given work."""
        ...

    def up(self, host: Host) -> None:
        """What a shim was to start runs."""
        ...

    def done(self, host: Host, frame: Frame) -> None:
        """A warm child has finished its kernel."""
        ...

    def settle(self, host: Host) -> None:
        """Its output is read now: it must be known whose that is."""
        ...

    def take_back(self, host: Host) -> None:
        """It begins nothing more."""
        ...

    def failed(self, host: Host, why: str) -> None:
        """A program could not be started."""
        ...

    def gone(self, host: Host, cause: str, code: int, serial: int) -> None:
        """All processes of a host are dead, and its output is read."""
        ...

    def broken(self) -> None:
        """The zygote is gone: nothing can be started any more."""
        ...


class Hosts:
    """All shims of one agent."""

    def __init__(
        self, nursery: Nursery, reactor: Reactor, keeper: Keeper, log: FilteringBoundLogger
    ) -> None:
        self._nursery = nursery
        self._reactor = reactor
        self._keeper = keeper
        self._hosts: dict[int, Host] = {}
        self._unborn: set[int] = set()
        self._no_forks_before_ns = 0
        self._log = log
        reactor.watch(nursery.fileno(), self._on_zygote)

    @property
    def warm(self) -> int:
        """How many warm children there are, unborn ones included."""
        return sum(host.child is not None for host in self._hosts.values())

    @property
    def may_spawn(self) -> bool:
        """Whether another fork is welcome now."""
        if len(self._unborn) >= _FORKS_AT_ONCE or not self._nursery.has_room:
            return False
        # Without a lease a shim would end as soon as it began.
        now = facts.boottime_ns()
        return now >= self._no_forks_before_ns and self._nursery.lease_runs

    def unborn(self) -> int:
        """How many warm children that are for no certain kernel are on their way."""
        return sum(self._hosts[number].kernel is None for number in self._unborn)

    def spawn(self, *, warm: bool, watch: Watch | None = None) -> Host | None:
        """Bring up a host; None when the machine cannot now."""
        try:
            host = self._nursery.spawn(warm=warm, watch=watch)
        except OSError as error:
            self._hold_forks(str(error))
            return None
        self._hosts[host.number] = host
        self._unborn.add(host.number)
        self._reactor.watch(host.shim.fileno(), lambda: self._on_shim(host))
        if host.child is not None:
            self._reactor.watch(host.child.fileno(), lambda: self.hear_child(host))
        for fd in host.outputs:
            self._reactor.watch(fd, self._output_reader(host, fd))
        return host

    def all(self) -> list[Host]:
        """Every host."""
        return list(self._hosts.values())

    def tell(self, channel: Channel, head: dict[str, Any], body: bytes = b"") -> None:
        """Send, now or when there is room."""
        channel.send(head, body)
        if channel.wants_to_write:
            self._reactor.write_soon(channel.fileno(), channel.flush)

    def stop(self, host: Host, cause: str, grace_ms: int) -> None:
        """Have a shim end all it holds; it tells when that is done."""
        host.dying = True
        self._keeper.take_back(host)
        self.tell(host.shim, {"stop": cause, "grace_ms": grace_ms})
        late = facts.boottime_ns() + grace_ms * 1_000_000 + _SHIM_LATE_NS
        self._reactor.at(late, lambda: self._kill_shim(host))

    def end_with_the_lease(self) -> None:
        """The lease is over: a shim ends what it holds by itself, unless it is stopped or stuck."""
        for host in self.all():
            kept = host.row.serial and host.row.keep
            if host.pid and not host.dying and not kept:
                self.stop(host, "lease", 0)

    def _kill_shim(self, host: Host) -> None:
        # The zygote adopts and kills what it held. It reaps no shim without telling, so the pid
        # of a host that is still ours is still its own.
        if host.number in self._hosts and host.pid:
            self._log.warning("shim.late", shim=host.pid)
            facts.send_signal([facts.Process(host.pid, 0, 0, dead=False)], signal.SIGKILL)

    def _on_zygote(self) -> None:
        heard = self._nursery.hear()
        if heard is None:
            self._reactor.unwatch(self._nursery.fileno())
            self._keeper.broken()
            return
        for message in heard:
            self._on_message(message)

    def _on_message(self, message: dict[str, Any]) -> None:
        number = next(message[word] for word in ("born", "failed", "gone") if word in message)
        host = self._hosts.get(number)
        if host is None:
            return  # a shim that said itself that all is dead
        if "born" in message:
            self._unborn.discard(number)
            self._nursery.born(host, message["pid"])
            self._keeper.ready(host)
        elif "failed" in message:
            self._hold_forks(message["error"])
            self._bury(host, "not_forked", -signal.SIGKILL, 0)
        else:
            # What the shim said last may still lie in its channel.
            self._hear(host)
            self._bury(host, "shim_killed", -signal.SIGKILL, 0)

    def _hold_forks(self, why: str) -> None:
        """The machine has no room for another process now; asking at once again makes it worse."""
        self._log.warning("shim.refused", why=why)
        self._no_forks_before_ns = facts.boottime_ns() + _NO_FORKS_NS
        self._reactor.at(self._no_forks_before_ns, lambda: None)

    def _on_shim(self, host: Host) -> None:
        if not self._hear(host) and host.number in self._hosts:
            # Hung up without a word: it was killed. The zygote tells when all it held is dead.
            host.dying = True
            self._reactor.unwatch(host.shim.fileno())

    def _hear(self, host: Host) -> bool:
        open_ = host.shim.read()
        for frame in list(host.shim.frames()):
            if "up" in frame.head:
                self._keeper.up(host)
            elif "failed" in frame.head:
                self._keeper.failed(host, frame.head["failed"])
            elif "dead" in frame.head:
                self._bury(host, frame.head["dead"], frame.head["code"], frame.head["serial"])
        return open_

    def hear_child(self, host: Host) -> None:
        """Hear what a warm child has done."""
        child = host.child
        if child is None:
            return
        open_ = child.read()
        try:
            for frame in child.frames():
                self._keeper.done(host, frame)
        except (BrokenFrameError, KeyError, TypeError, ValueError) as error:
            self._log.warning("child.broken", why=str(error), shim=host.pid)
            open_ = False
        if not open_ and host.number in self._hosts:
            # It ended, which its shim sees too, or its kernel closed all files and is deaf.
            self._reactor.unwatch(child.fileno())
            self.stop(host, HUNG_UP, 0)

    def _output_reader(self, host: Host, fd: int) -> Callable[[], None]:
        def read() -> None:
            self._keeper.settle(host)
            data = host.read(fd)
            if data == b"":
                self._reactor.unwatch(fd)
            elif data and host.kernel is not None:
                log = host.kernel.log
                waits = log.due_ns
                log.feed(host.outputs[fd], data, facts.boottime_ns())
                if log.due_ns and not waits:
                    self._reactor.at(log.due_ns, log.flush)

        return read

    def _bury(self, host: Host, cause: str, code: int, serial: int) -> None:
        if self._hosts.pop(host.number, None) is None:
            return
        self._unborn.discard(host.number)
        self._keeper.take_back(host)
        self.hear_child(host)
        host.drain()
        for fd in list(host.fds()):
            self._reactor.unwatch(fd)
        self._keeper.gone(host, cause, code, serial)
        self._nursery.bury(host)
