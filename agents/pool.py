"""Warm children: who is idle, for whom, and for how long."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agents.kernels import Host, Kernel

#: Handed to one child at once: as many as are over within this, if they take as long as its last one.
_TOGETHER_US: Final = 2_000
_MOST: Final = 32


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many warm children stay, and how long."""

    idle: int  #: idle children kept for long, of all keypairs together
    idle_ns: int  #: how long one waits for work
    surplus_ns: int = 2_000_000_000  #: how long those beyond that number wait
    kernels: int = 1000  #: how many one runs before it is replaced, which bounds what it leaks


class Pool:
    """Idle warm children, callables that wait for one, and kernels that wait for a host of their own.

    A child belongs to the keypair whose callables it ran, nobody's keypair being one of them; a
    fresh child belongs to whoever comes first.
    """

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._idle: dict[str | None, list[Host]] = {}
        self._waiting: dict[str, deque[Kernel]] = {}
        self._apart: deque[Kernel] = deque()

    def take_idle(self, keypair: str) -> Host | None:
        """A child that may run this keypair's callables; the last one used is the warmest."""
        for whose in (keypair, None):
            while hosts := self._idle.get(whose):
                host = self._remove(hosts[-1])
                # Its shim or itself was killed while it was idle, and it is not buried yet.
                if not host.dying:
                    host.keypair = keypair
                    return host
        return None

    def wait(self, kernel: Kernel, now_ns: int) -> None:
        """A kernel waits until a child is free or born, or its own host can be."""
        kernel.waits_since_ns = now_ns
        self._queue_of(kernel).append(kernel)

    def wait_first(self, kernel: Kernel) -> None:
        """A kernel that was taken back from a child waits before all others."""
        self._queue_of(kernel).appendleft(kernel)

    def _queue_of(self, kernel: Kernel) -> deque[Kernel]:
        if kernel.has_own_host:
            return self._apart
        return self._waiting.setdefault(kernel.order.keypair, deque())

    def first_apart(self) -> Kernel | None:
        """Who has waited longest for a host of its own."""
        return self._apart[0] if self._apart else None

    def groups(self) -> Iterator[tuple[Host, list[Kernel]]]:
        """Idle children, each with the kernels that it is to run: who waited longest comes first.

        Of keypairs, the one whose kernels began to wait first; insertion order makes it fair enough.
        """
        for keypair in list(self._waiting):
            while (queue := self._waiting.get(keypair)) and (host := self.take_idle(keypair)):
                yield host, self._group(host, queue)
                if not queue:
                    self._waiting.pop(keypair, None)

    def _group(self, host: Host, queue: deque[Kernel]) -> list[Kernel]:
        first = queue.popleft()
        most = min(_MOST, _TOGETHER_US // host.took_us, self._limits.kernels - host.served)
        group = [first]
        while len(group) < most and queue and first.goes_with(queue[0]):
            group.append(queue.popleft())
        return group

    def forget(self, kernel: Kernel) -> bool:
        """A kernel does not wait any more; whether it did."""
        queue = self._queue_of(kernel)
        waited = kernel in queue
        if waited:
            queue.remove(kernel)
        if not (queue or kernel.has_own_host):
            del self._waiting[kernel.order.keypair]
        return waited

    def more_wait_than(self, number: int, since_ns: int) -> bool:
        """Whether more kernels than this have waited since then, or longer."""
        for queue in self._waiting.values():
            for kernel in queue:  # the first has waited longest
                if kernel.waits_since_ns > since_ns:
                    break
                number -= 1
                if number < 0:
                    return True
        return False

    def has_fresh(self) -> bool:
        """Whether a child stands by that nobody has used."""
        return bool(self._idle.get(None))

    def park(self, host: Host, now_ns: int) -> None:
        """A child is idle."""
        host.idle_since_ns = now_ns
        self._idle.setdefault(host.keypair, []).append(host)

    def worn_out(self, host: Host) -> bool:
        """Whether a child has run enough."""
        return host.served >= self._limits.kernels

    def expired(self, now_ns: int) -> list[Host]:
        """Children that nobody needed for long, or that are too many; one fresh child may stay.

        The latter wait a little, too: the next burst comes within milliseconds, and would fork
        again what was ended after the last.
        """
        limits = self._limits
        spare = max(self._idle.get(None, ()), key=lambda each: each.idle_since_ns, default=None)
        idle = [host for host in self._all() if host is not spare]
        oldest = sorted(idle, key=lambda each: each.idle_since_ns)
        surplus = len(oldest) - limits.idle
        gone = []
        for index, host in enumerate(oldest):
            allowed = limits.surplus_ns if index < surplus else limits.idle_ns
            if now_ns - host.idle_since_ns > allowed:
                gone.append(self._remove(host))
        return gone

    def drop(self, host: Host) -> None:
        """A child died while it was idle."""
        if host in self._idle.get(host.keypair, ()):
            self._remove(host)

    def _all(self) -> Iterator[Host]:
        for hosts in self._idle.values():
            yield from hosts

    def _remove(self, host: Host) -> Host:
        hosts = self._idle[host.keypair]
        hosts.remove(host)
        if not hosts:
            del self._idle[host.keypair]
        return host
