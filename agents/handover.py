"""Hands callables to warm children: several at once to one whose kernels are brief.

A child runs what it was handed one after the other, without waiting for the agent in between: it finds its
memory in the caches, and wakes once for all. Whose a piece of output is stays certain, since it goes on by
itself only where its pipes are empty, and the agent reads from them only when it has taken back all that
the child has not begun (`settle`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from agents import channel, facts
from agents.executors import environment
from agents.hosts import Hosts
from agents.kernels import Host, Kernel
from agents.nursery import Nursery
from agents.packets import LONGEST
from agents.pool import Pool
from agents.shim import HUNG_UP, RETIRED
from scheduler.protocol.report import MAX_ERROR, MAX_RESULT

#: A child that is not done with a kernel after this keeps no other waiting.
_STUCK_NS: Final = 10_000_000
#: A child that does not come to a kernel within this is frozen, or its shim is, which was to fork it.
_LATE_NS: Final = 3_000_000_000
#: How a host ends that nobody stopped for its kernel.
_BY_ITSELF: Final = frozenset({"", HUNG_UP, RETIRED, "shim_killed"})


class Handover:
    """What waits for a warm child, and what lies before one."""

    def __init__(
        self,
        pool: Pool,
        nursery: Nursery,
        hosts: Hosts,
        begin: Callable[[Host, Kernel], None],
        address_space: Callable[[Kernel], int],
    ) -> None:
        self._pool = pool
        self._nursery = nursery
        self._hosts = hosts
        self._begin = begin  #: a kernel's own rules hold from now on
        self._address_space = address_space
        self._several: set[Host] = set()  #: hosts with more than the kernel they are at

    @property
    def under_way(self) -> bool:
        """Whether something lies before a child that it has not come to."""
        return bool(self._several)

    def hand_out(self) -> None:
        """Give what waits to children that are idle."""
        for host, kernels in self._pool.groups():
            self.hand_over(host, kernels)

    def hand_over(self, host: Host, kernels: list[Kernel]) -> None:
        """Give kernels to one child, which is idle."""
        first, behind = kernels[0], kernels[1:]
        self._begin(host, first)
        if not self._send(host, first):
            self._hosts.stop(host, RETIRED, 0)
        for index, kernel in enumerate(behind):
            if host.dying or first.alone or not self._send(host, kernel, behind=True):
                self._wait_again(behind[index:])
                break
            kernel.host = host
            host.behind.append(kernel)
        if host.behind:
            self._several.add(host)

    def next_of(self, host: Host) -> bool:
        """A child is done with one kernel and comes to the next; whether there is one."""
        if not host.behind:
            host.kernel = None
            return False
        kernel = host.behind.popleft()
        if not host.behind:
            self._several.discard(host)
        self._begin(host, kernel)
        return True

    def settle(self, host: Host) -> None:
        """Leave a child what it has begun, and hear what it has done: it is at `host.kernel` and nothing else."""
        if host.behind:
            self.take_back(host)
            self._hosts.hear_child(host)

    def take_back(self, host: Host, *, stuck: bool = False) -> None:
        """Take back what a child has not begun; where it is stuck, each of it goes to a child of its own."""
        if not host.behind or host.packets is None:
            return
        taken, first = host.packets.take_back(), host.kernel
        back = [kernel for kernel in host.behind if kernel.serial in taken]
        host.behind = deque(kernel for kernel in host.behind if kernel.serial not in taken)
        for kernel in back:
            kernel.alone |= stuck
        if first is not None and first.serial in taken:
            self._take_first_back(host, first, back)
        self._wait_again(back)
        if not host.behind:
            self._several.discard(host)

    def _take_first_back(self, host: Host, first: Kernel, back: list[Kernel]) -> None:
        """The child has not come to what it is at for the agent."""
        if host.behind:
            # It took what lay behind that, between two packets of ours.
            first.unbegin()
            back.insert(0, first)
            self._begin(host, host.behind.popleft())
        elif host.dying:
            host.untouched = True
        else:
            self._send(host, first)

    def forget(self, host: Host, cause: str) -> list[Kernel]:
        """A host is gone: what it was at; and where it spoke nonsense at last, what it had taken after that.

        What a child that died by itself had not come to runs in another; but once, or it would for ever
        where none can live.
        """
        kernel = host.kernel
        if kernel and self._untouched(host, kernel) and cause in _BY_ITSELF and not kernel.outlived:
            kernel.outlived = True
            self._take_from(host, kernel)
        begun = [host.kernel, *host.behind] if host.kernel is not None else []
        host.behind.clear()
        self._several.discard(host)
        return begun

    @staticmethod
    def _untouched(host: Host, kernel: Kernel) -> bool:
        if host.packets is None or kernel.stopping is not None:
            return False
        return host.untouched or kernel.serial in host.packets.take_back()

    def relieve(self) -> None:
        """Take from children that take long what lies behind."""
        since = facts.boottime_ns() - _STUCK_NS
        for host in list(self._several):
            if self._began_before(host, since):
                self._hosts.hear_child(host)
            if self._began_before(host, since):
                self.take_back(host, stuck=True)
                self._hosts.hear_child(host)

    def rescue(self) -> None:
        """Take kernels from children that do not come to them; such a child is ended."""
        since = facts.boottime_ns() - _LATE_NS
        for host in self._hosts.all():
            kernel = host.kernel
            if kernel is None or host.packets is None or host.dying:
                continue
            if not self._began_before(host, since) or host.behind:
                continue
            if kernel.serial in host.packets.take_back():
                self._take_from(host, kernel)
                self._hosts.stop(host, RETIRED, 0)

    def _take_from(self, host: Host, kernel: Kernel) -> None:
        kernel.unbegin()
        host.kernel = None
        self._wait_again([kernel])

    @staticmethod
    def _began_before(host: Host, since_ns: int) -> bool:
        return host.kernel is not None and host.kernel.began_ns < since_ns

    def _wait_again(self, kernels: list[Kernel]) -> None:
        for kernel in reversed(kernels):
            kernel.host = None
            self._pool.wait_first(kernel)

    def _send(self, host: Host, kernel: Kernel, *, behind: bool = False) -> bool:
        """Lay a kernel before a child; whether that could be done."""
        if host.packets is None or host.child is None:
            return False
        # One for all its kernels; the child makes it anew where a kernel has left its trace.
        scratch = f"{self._nursery.scratch_of(host)}/scratch"
        head = {
            "scratch": scratch,
            "env": environment.of_kernel(kernel.order, kernel.work.get("env", {}), scratch),
            "address_space": self._address_space(kernel),
            "wants_result": kernel.order.kernel == 0,
            "max_result": MAX_RESULT,
            "max_error": MAX_ERROR,
        }
        message = channel.written(head, kernel.payload)
        if len(message) <= LONGEST:
            return host.packets.send(kernel.serial, message)
        # What is on the stream cannot be taken back: it goes first, and nothing lies behind it.
        kernel.alone = True
        if behind:
            return False
        self._hosts.tell(host.child, head, kernel.payload)
        return host.packets.send(kernel.serial, channel.FOLLOWS)
