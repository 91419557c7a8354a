"""Runs kernels: gives each the process it needs, stops it when it must, tells what became of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from agents import facts
from agents.allow import AllowList
from agents.channel import Frame
from agents.executors import environment
from agents.handover import Handover
from agents.hosts import Hosts
from agents.kernels import Host, Kernel, Outcome, outcome_of, report_of, timeout_sentence
from agents.limits import MemoryLimit
from agents.logs import OutputLog
from agents.nursery import Nursery
from agents.pool import Pool
from agents.reactor import Reactor
from agents.shim import RETIRED
from scheduler.protocol.order import StartOrder
from scheduler.protocol.report import EndReason, KernelReport, ReportKind
from scheduler.service.loop import Service

_MS = 1_000_000
_NEVER_NS = 2**62  # no deadline comes so late
_LOOK_FOR_IDLE_NS = 1_000 * _MS
# Short callables are over within this, and a child that is free then is cheaper than a fork at 3 ms.
_PATIENCE_NS = 2 * _MS
# Where children become free all the time, more of them would only take the cores from each other;
# but who has waited for this long gets one.
_STALLED_NS = 10 * _MS
_MOST_PATIENCE_NS = 50 * _MS
_FEW_CHILDREN = 2 * (os.cpu_count() or 1)
LEFT = "The agent was stopped."


class Reports(Protocol):
    """Where the supervisor tells what happens."""

    def report(self, report: KernelReport) -> None:
        """Send a report, after all output given before."""
        ...

    def log(self, log: OutputLog, stream: str, text: str) -> None:
        """Send a piece of output."""
        ...

    def wake(self) -> None:
        """Send what was given."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every kernel of this agent."""

    allow: AllowList
    memory_limit: MemoryLimit
    grace_ms: int
    log_cap: int
    base_env: dict[str, str]


class Supervisor:
    """All kernels of one agent.

    `start`, `run`, `stop`, `stand_by`, `leave` and `close` may be called from any thread; all else
    happens in the supervisor's own.
    """

    def __init__(
        self,
        nursery: Nursery,
        pool: Pool,
        rules: Rules,
        reports: Reports,
        log: FilteringBoundLogger,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._rules = rules
        self._reports = reports
        self._kernels: dict[str, Kernel] = {}
        self._serial = 0
        self._leaving = False
        self._admitted = False
        self._ticking = False
        self._freed_ns = 0
        self._log = log
        self._reactor = Reactor()
        self._hosts = Hosts(nursery, self._reactor, self, log)
        self._handover = Handover(pool, nursery, self._hosts, self._begin_in, self._address_space)
        self._service = Service("supervisor", self.run_once)
        self.empty = threading.Event()  #: nothing runs
        self.empty.set()
        self._on_broken: Callable[[], None] = lambda: None

    def start(self, on_broken: Callable[[], None]) -> None:
        """Begin, in a thread of its own; `on_broken` is called when the zygote is gone."""
        self._on_broken = on_broken
        self._reactor.ask(self._look_for_idle)
        self._service.start()

    def run(self, order: StartOrder, payload: bytes, work: dict[str, Any]) -> None:
        """Run one kernel."""
        self.empty.clear()
        log = OutputLog(order.id, self._rules.log_cap, self._reports.log)
        self._reactor.ask(lambda: self._begin(Kernel(order, payload, work, log)))

    def stop(self, order: str, reason: EndReason, says: str = "") -> None:
        """Stop one kernel, if it runs: SIGTERM, grace, SIGKILL; saying it twice is harmless."""
        self._reactor.ask(lambda: self._stop_order(order, reason, says))

    def let_run(self, order: str, timeout_ms: int) -> None:
        """Let one kernel run for so long from its start; saying it twice is harmless."""
        self._reactor.ask(lambda: self._let_run(order, timeout_ms))

    def stand_by(self) -> None:
        """The lease is ours: have a fresh warm child ready."""
        self._reactor.ask(self._admit)

    def leave(self, *, at_once: bool = False) -> None:
        """Take nothing new and stop all kernels; `empty` is set when they are gone."""
        self._reactor.ask(lambda: self._leave(0 if at_once else self._rules.grace_ms))

    def close(self, timeout: float) -> None:
        """End the loop and every process that is left."""
        self._service.stop(timeout)
        self._nursery.close(timeout)
        # What a killed zygote held is ours now: the agent is a subreaper.
        facts.kill_descendants()
        for kernel in list(self._kernels.values()):
            self._end(
                kernel, Outcome(kernel.stopping or EndReason.AGENT_LEFT, error=kernel.says or LEFT)
            )

    def run_once(self) -> float:
        """One round of the loop."""
        self._reactor.round()
        self._handover.hand_out()
        if not self._ticking:
            self._set_tick()
        self._spawn()
        # While a child works off several, what it has done is gathered: each report wakes the leader, too.
        if not self._handover.under_way:
            self._reports.wake()
        return 0.0

    def _look_for_idle(self) -> None:
        now = facts.boottime_ns()
        for host in self._pool.expired(now):
            self._retire(host)
        self._handover.rescue()
        if not self._nursery.lease_runs:
            self._hosts.end_with_the_lease()
        self._reactor.at(now + _LOOK_FOR_IDLE_NS, self._look_for_idle)

    def _admit(self) -> None:
        self._admitted = True

    # Kernels begin and end.

    def _begin(self, kernel: Kernel) -> None:
        order = kernel.order
        if order.id in self._kernels:
            return
        self._kernels[order.id] = kernel
        self._serial += 1
        kernel.serial = self._serial
        if self._leaving:
            self._end(kernel, Outcome(EndReason.AGENT_LEFT, error=LEFT))
        elif refusal := self._rules.allow.refusal(kernel.work):
            self._end(kernel, Outcome(EndReason.NOT_ALLOWED, error=refusal))
        else:
            self._pool.wait(kernel, facts.boottime_ns())

    def _arm(self, host: Host, kernel: Kernel) -> None:
        """From here on the kernel's own rules hold for its processes."""
        order = kernel.order
        kernel.host, host.kernel, host.outcome = host, kernel, None
        host.served += 1
        kernel.began_ns = facts.boottime_ns()
        deadline = kernel.deadline_ns
        watched = (
            self._rules.memory_limit in (MemoryLimit.WATCH, MemoryLimit.AUTO)
            and host.cgroup is None
        )
        memory = kernel.memory if watched else 0
        host.row.arm(
            serial=kernel.serial, deadline_ns=deadline, memory=memory, keep=order.on_lost == "keep"
        )
        if host.cgroup is not None and host.limited_to != kernel.memory:
            host.cgroup.set_memory(kernel.memory)
            host.limited_to = kernel.memory
        kernel.timer = self._reactor.at(deadline, lambda: self._time_out(kernel))

    def _address_space(self, kernel: Kernel) -> int:
        return kernel.memory if self._rules.memory_limit is MemoryLimit.RLIMIT else 0

    def _begin_in(self, host: Host, kernel: Kernel) -> None:
        """A warm child comes to a callable."""
        self._arm(host, kernel)
        self._report(kernel, ReportKind.UP)

    def _run_command(self, host: Host, kernel: Kernel) -> None:
        scratch = self._nursery.scratch_of(host)
        env = environment.of_kernel(kernel.order, kernel.work.get("env", {}), scratch)
        base = self._rules.base_env
        self._arm(host, kernel)
        run = {
            "words": kernel.work["command"],
            "env": {**base, **env, facts.MARKER: base[facts.MARKER]},
            "address_space": self._address_space(kernel),
        }
        self._hosts.tell(host.shim, {"run": run})

    def _let_run(self, order: str, timeout_ms: int) -> None:
        kernel = self._kernels.get(order)
        if kernel is not None and kernel.let_run(timeout_ms):
            kernel.timer = self._reactor.at(kernel.deadline_ns, lambda: self._time_out(kernel))

    def _time_out(self, kernel: Kernel) -> None:
        self._stop(kernel, EndReason.TIMED_OUT, timeout_sentence(kernel), self._rules.grace_ms)

    def _stop_order(self, order: str, reason: EndReason, says: str) -> None:
        if kernel := self._kernels.get(order):
            self._stop(kernel, reason, says, self._rules.grace_ms)

    def _stop(self, kernel: Kernel, reason: EndReason, says: str, grace_ms: int) -> None:
        if kernel.host is not None:
            self.settle(kernel.host)
        if kernel.over or (kernel.stopping is not None and grace_ms):
            return
        if kernel.stopping is None:
            kernel.stopping, kernel.says = reason, says
        if kernel.host is not None:
            self._hosts.stop(kernel.host, "stopped", grace_ms)
            return
        self._pool.forget(kernel)
        self._end(kernel, Outcome(kernel.stopping, error=kernel.says))

    def _end(self, kernel: Kernel, outcome: Outcome) -> None:
        kernel.over = True
        if kernel.timer is not None:
            kernel.timer.cancel()
        kernel.log.close()
        self._report(kernel, ReportKind.ENDED, outcome)
        if (outcome.reason, outcome.exit_code) != (EndReason.EXITED, 0):
            session, order = kernel.order.session, kernel.order.id
            self._log.info("kernel.ended", session=session, order=order, reason=str(outcome.reason))
        del self._kernels[kernel.order.id]
        if not self._kernels and not self._reactor.asked:
            self.empty.set()

    def _report(self, kernel: Kernel, kind: ReportKind, outcome: Outcome | None = None) -> None:
        self._reports.report(report_of(kernel.order, kind, outcome))

    def _leave(self, grace_ms: int) -> None:
        self._leaving = True
        for kernel in list(self._kernels.values()):
            self._stop(kernel, EndReason.AGENT_LEFT, LEFT, grace_ms)
        for host in self._hosts.all():
            if host.kernel is None:
                self._retire(host)
        if not self._kernels:
            self.empty.set()

    # Processes come and go.

    def _spawn(self) -> None:
        """Bring up what waiting kernels need, and one fresh child for whoever comes next."""
        while (first := self._pool.first_apart()) and self._hosts.may_spawn and not self._leaving:
            host = self._hosts.spawn(warm="callable" in first.work, watch=first.watch)
            if host is None:
                return
            self._pool.forget(first)
            host.kernel, first.host = first, host
        while self._wants_child() and self._hosts.may_spawn:
            if self._hosts.spawn(warm=True) is None:
                return

    def _wants_child(self) -> bool:
        if self._leaving or not self._rules.allow.patterns:
            return False
        coming = self._hosts.unborn()
        spare = int(self._admitted and not self._pool.has_fresh())
        if coming < spare:
            return True
        now = facts.boottime_ns()
        if self._hosts.warm < _FEW_CHILDREN:
            patience = _PATIENCE_NS
        else:
            stalled = now - self._freed_ns > _STALLED_NS
            patience = _STALLED_NS if stalled else _MOST_PATIENCE_NS
        return self._pool.more_wait_than(coming, now - patience)

    def _tick(self) -> None:
        """While callables wait, wake up often: each round looks whether children are wanted."""
        self._handover.relieve()
        self._reports.wake()
        self._set_tick()

    def _set_tick(self) -> None:
        self._ticking = self._handover.under_way or self._pool.more_wait_than(0, _NEVER_NS)
        if self._ticking:
            self._reactor.at(facts.boottime_ns() + _PATIENCE_NS, self._tick)

    def _retire(self, host: Host) -> None:
        """A child that is not needed ends when nobody talks to it any more."""
        self._pool.drop(host)
        self._hosts.stop(host, RETIRED, 0)

    def _next(self, host: Host) -> None:
        """A child is free."""
        if self._leaving or self._pool.worn_out(host):
            self._retire(host)
        else:
            self._pool.park(host, facts.boottime_ns())

    def ready(self, host: Host) -> None:
        """A shim is born."""
        if host.dying:
            return
        if host.kernel is None:
            self._next(host)
        elif host.child is None:
            self._run_command(host, host.kernel)
        else:
            self._handover.hand_over(host, [host.kernel])

    def up(self, host: Host) -> None:
        """A command runs; a callable was reported when it was handed over."""
        if host.child is None and host.kernel is not None:
            self._report(host.kernel, ReportKind.UP)

    def done(self, host: Host, frame: Frame) -> None:
        """A warm child has finished its kernel."""
        kernel, head = host.kernel, frame.head
        if kernel is None:
            return
        result = frame.body.decode() if head.get("result") else None
        reason = EndReason(head["reason"])
        outcome = Outcome(reason, int(head["exit_code"]), error=str(head["error"]), result=result)
        if head["printed"] or not head["clean"]:
            host.drain()
        if host.dying or not head["clean"] or kernel.watch:
            # Its end is told when all that it left behind is dead, and all that it said was looked at.
            host.dying, host.outcome = True, outcome
            self.take_back(host)
            if kernel.timer is not None:
                kernel.timer.cancel()
            if kernel.watch:
                self._retire(host)
            return
        host.row.clear()
        host.took_us = max(1, int(head["took_us"]))
        self._freed_ns = facts.boottime_ns()
        self._end(kernel, outcome)
        if not self._handover.next_of(host):
            self._next(host)
        if head["printed"] and host.child is not None:
            self._hosts.tell(host.child, {"go": "on"})

    def settle(self, host: Host) -> None:
        """Make sure what a host is at."""
        self._handover.settle(host)

    def take_back(self, host: Host) -> None:
        """A host begins nothing more."""
        self._handover.take_back(host)

    def failed(self, host: Host, why: str) -> None:
        """A program could not be started; the shim ends by itself."""
        host.outcome = Outcome(EndReason.NOT_FOUND, 127, error=why)

    def gone(self, host: Host, cause: str, code: int, serial: int) -> None:
        """All processes of a host are dead."""
        self._pool.drop(host)
        for kernel in self._handover.forget(host, cause):
            self._end(kernel, outcome_of(host, kernel, cause, code, serial))

    def broken(self) -> None:
        """The zygote is gone, and with it the way to start or bury anything: the agent must end."""
        self._log.error("zygote.gone")
        self._leaving = True
        self._on_broken()
