"""The life of an agent process: start everything, wait for the end, leave in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from agents import facts
from agents.heartbeat import Heartbeat
from agents.held import Held
from agents.identity import Identity
from agents.orders import Orders
from agents.rundir import RunDirectory
from agents.sender import Sender
from agents.supervisor import Supervisor
from agents.worker import NUDGE, AgentWorker
from scheduler.observability.serving import health_facts
from scheduler.protocol.report import EndReason, Leaving

EXIT_BROKEN: Final = 1
EXIT_REFUSED: Final = 4
EXIT_SUPERSEDED: Final = 6
# Of two seconds beside the grace: one for shims to kill and confirm, some to tell Redis, and the
# rest for the interpreter to end, which takes a while on a busy machine.
_CONFIRM_S: Final = 1.0
_TELL_S: Final = 0.4
_CLOSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is made of."""

    identity: Identity
    directory: RunDirectory
    held: Held
    sender: Sender
    supervisor: Supervisor
    orders: Orders
    beats: Heartbeat
    worker: AgentWorker
    grace_s: float


class Life:
    """Runs one agent from its first beat to its exit code."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = parts.identity.log()
        self._code = 0
        self._signal = 0  #: that asked it to end
        self._silent = False
        self._at_once = False
        self._ended = threading.Event()

    def run(self) -> int:
        """Serve until a signal, the leader or a defect ends it; the exit code."""
        parts = self._parts
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(NUDGE, parts.worker.nudged)
        parts.sender.start()
        parts.supervisor.start(self._on_broken)
        parts.beats.start(self, parts.held)
        self._log.info("agent.started")
        try:
            parts.worker.serve(parts.orders, parts.beats, parts.held.any)
        finally:
            if self._signal:
                self._log.info("agent.stopping", signal=signal.Signals(self._signal).name)
            self._leave()
        self._log.info("agent.ended", exit_code=self._code)
        return self._code

    def health(self) -> dict[str, Any]:
        """What every process says of its health, and ``running``: how many kernels it holds.

        An agent is ready while it is admitted and its lease runs: it takes orders.
        """
        parts = self._parts
        why = "It is stopping." if self._ended.is_set() else parts.beats.why_not_ready
        return health_facts("agent", why, running=len(parts.held.now()[1]))

    def _end(self, code: int, *, silent: bool = False, at_once: bool = False) -> None:
        if not self._ended.is_set():
            self._ended.set()
            if silent:
                self._parts.sender.silence()
            self._code, self._silent, self._at_once = code, silent, at_once
            # Not only when the main thread has come back from Redis.
            self._parts.supervisor.leave(at_once=at_once)
            self._parts.worker.end()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._ended.is_set():
            self._parts.supervisor.leave(at_once=True)
            return
        # Not logged here: the line that it may have interrupted holds the lock of the log.
        self._signal = number
        self._end(0)

    def _on_broken(self) -> None:
        self._end(EXIT_BROKEN, at_once=True)

    def admitted(self) -> None:
        """The first ok."""
        self._parts.directory.admitted()
        self._parts.supervisor.stand_by()

    def stop(self, order: str, text: str) -> None:
        """A stop order stands."""
        self._parts.orders.stop(order, text)

    def refused(self, reason: str) -> None:
        """The leader does not want this agent."""
        self._log.error("agent.refused", why=reason)
        self._end(EXIT_REFUSED, silent=True, at_once=True)

    def superseded(self) -> None:
        """Another boot of this agent was admitted: nothing that runs here counts any more."""
        self._log.error("agent.superseded", why="another boot of this agent was admitted")
        self._end(EXIT_SUPERSEDED, silent=True, at_once=True)

    def forgotten(self) -> None:
        """Redis lost all that was placed here."""
        for order in self._parts.held.now()[1]:
            self._parts.supervisor.stop(
                order, EndReason.STOPPED, "Redis lost its placement in a failover."
            )

    def _leave(self) -> None:
        """Within the grace and two seconds, whatever Redis does."""
        parts = self._parts
        began = facts.boottime_ns()
        grace = 0.0 if self._at_once else parts.grace_s
        parts.supervisor.leave(at_once=self._at_once)  # again, for a defect that ended us unasked
        parts.supervisor.empty.wait(grace + _CONFIRM_S)
        parts.supervisor.close(_CLOSE_S)
        parts.beats.stop(0.0)
        left = grace + _CONFIRM_S + _TELL_S - (facts.boottime_ns() - began) / 1e9
        if not self._silent:
            parts.sender.report(Leaving(agent=parts.identity.agent, boot=parts.identity.boot))
            if not parts.sender.flush(max(left, _CLOSE_S)):
                self._log.warning(
                    "agent.left_unsaid", why="Redis did not take the last reports in time"
                )
        _within(_CLOSE_S, parts.worker.register_death)
        parts.directory.close()


def _within(seconds: float, call: Callable[[], object]) -> None:
    """Do something that Redis may let hang, and go on without it if it does."""
    thread = threading.Thread(target=_quietly, args=(call,), daemon=True)
    thread.start()
    thread.join(seconds)


def _quietly(call: Callable[[], object]) -> None:
    from redis import RedisError  # noqa: PLC0415

    try:
        call()
    except (RedisError, OSError):
        return
