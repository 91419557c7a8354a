"""The RQ worker: takes ids from the agent's one queue, and shows in `rq info` that it lives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import redis
from rq import worker_registration
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker, WorkerStatus

from agents import facts
from agents.heartbeat import Heartbeat
from agents.identity import Identity
from agents.orders import Orders

_MOST: Final = 100
# RQ derives its time-outs from this: a blocking pop of 10 s, a connection that gives up after 20,
# and 85 s until a killed worker is gone from `rq info`.
_WORKER_TTL_S: Final = 25
_HOUSEKEEPING_NS: Final = 5_000_000_000
# "busy" is shown at once, "idle" a little later: no-op kernels would make it flicker.
_SETTLED_NS: Final = 1_000_000_000
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
#: Sent to our own main thread when another thread wants it to end.
NUDGE: Final = signal.SIGUSR1


class AgentWorker(SimpleWorker):
    """Serves one agent's queue; it executes no job itself and keeps no registries of jobs."""

    def __init__(
        self, queue: str, connection: redis.Redis, identity: Identity, address: str
    ) -> None:
        # RQ asks CLIENT LIST for its own address, which 10,000 agents must not do.
        self._address = address or "unknown"
        # A killed predecessor's name is refused for minutes; so each boot has its own.
        name = f"{identity.agent}.{identity.boot[:8]}"
        super().__init__(
            [queue],
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
        )
        self._agent_log = identity.log()
        self.ending = threading.Event()
        self._may_interrupt = False
        self._kept_house_ns = 0
        self._shown: WorkerStatus | None = None
        self._busy: Callable[[], bool] = lambda: False
        self._in_doubt = False  #: whether ids were taken off the queue that never came here

    def _set_ip_address(self, connection: redis.Redis) -> None:  # noqa: ARG002 - RQ's own
        self.ip_address = self._address

    def end(self) -> None:
        """Take nothing more; from any thread or signal handler."""
        self.ending.set()
        signal.pthread_kill(threading.main_thread().ident or 0, NUDGE)

    def serve(self, orders: Orders, beats: Heartbeat, busy: Callable[[], bool]) -> None:
        """Take ids until `end`; in the main thread."""
        self._busy = busy
        pause = 0.0
        while not self.ending.is_set():
            try:
                with self.interruptible():
                    self._keep_house()
                    ids = self._pop(beats, orders)
                if ids and not orders.take(ids, self):
                    self._in_doubt = True
                    beats.doubt()
                pause = 0.0
            except (redis.RedisError, OSError) as error:
                self._in_doubt = True
                pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause * 2))
                self._agent_log.warning("redis.unreachable", why=str(error), again_in=pause)
                self.ending.wait(pause)
            except StopRequested:
                return

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Redis may let us hang here, and nothing is lost if we leave in the middle."""
        self._may_interrupt = True
        try:
            if self.ending.is_set():
                raise StopRequested
            yield
        finally:
            self._may_interrupt = False

    def work(self, *_: Any, **__: Any) -> bool:
        """RQ's own loop runs jobs in this process, which an agent never does."""
        raise NotImplementedError("an agent serves its queue by serve()")

    def nudged(self, _: int, __: FrameType | None) -> None:
        """The handler of NUDGE."""
        if self._may_interrupt:
            raise StopRequested

    def _pop(self, beats: Heartbeat, orders: Orders) -> list[str]:
        """The next ids, a hundred at most; none when it is time to look around again."""
        if not (beats.may_claim.wait(1.0) and beats.lease_runs):
            if beats.may_claim.is_set():
                self.ending.wait(_FIRST_PAUSE_S)
            return []
        if self._in_doubt and (lying := orders.lying()) is not None:
            self._in_doubt = len(lying) > _MOST
            if lying:
                return lying[:_MOST]
        key = self.queues[0].key
        timeout = 1 if self._shown is WorkerStatus.BUSY else self.dequeue_timeout
        first: Any = self.connection.blpop([key], timeout)
        if first is None:
            return []
        more: Any = self.connection.lpop(key, _MOST - 1)
        found = [first[1], *(more or [])]
        return [identifier.decode("utf-8", "replace") for identifier in found]

    def _keep_house(self) -> None:
        """Show that we live, and what we do; all of it each time, as Redis may have forgotten."""
        now = facts.boottime_ns()
        state = WorkerStatus.BUSY if self._busy() else WorkerStatus.IDLE
        if now - self._kept_house_ns < self._due_ns(state):
            return
        with self.connection.pipeline(transaction=False) as pipe:
            self.heartbeat(pipeline=pipe)
            self.birth_date = self.birth_date or self.last_heartbeat
            pipe.hset(self.key, mapping={**self.serialize(), "state": str(state.value)})
            worker_registration.register(self, pipe)
            pipe.execute()
        self._kept_house_ns, self._shown = now, state

    def _due_ns(self, state: WorkerStatus) -> int:
        if state is self._shown:
            return _HOUSEKEEPING_NS
        return 0 if state is WorkerStatus.BUSY else _SETTLED_NS
