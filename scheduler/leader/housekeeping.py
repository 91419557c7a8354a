"""Puts chores on their queue: rq-scheduler, run by the leader, by Redis' clock.

Of rq-scheduler only the set of jobs that are due, and moving them to their queue. Not its daemon, whose
lock has no owner; not its cron, which is host-local; not its clock: a leader whose clock is an hour off
would begin an hour late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from scheduler.domain.errors import RedisFull
from scheduler.leader.housework import CHORES, Chore, Tools
from scheduler.observability.logs import get_logger
from scheduler.operations.forgetting import forget_some
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

_LOOK_EVERY_S: Final = 1.0


def chore_id(keys: Keys, group: str, chore: str) -> str:
    """The id of a chore's RQ job, the same each time it is planned."""
    # RQ's ids have no separator that names lack: the end tells a-b and c from a and b-c.
    end = hashlib.sha256(f"{keys.root} {group} {chore}".encode()).hexdigest()[:8]
    return f"{keys.root}-{group}-{chore}-{end}"


class ChoreJob(Job):
    """A job in JSON: rq-scheduler cannot be told a serializer, and would pickle."""

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Job:
        """A job, not saved yet."""
        return super().create(*args, **{**kwargs, "serializer": JSONSerializer})

    @classmethod
    def fetch(cls, id: str, connection: Any = None, serializer: Any = None) -> Job:  # noqa: A002, ARG003 - as RQ calls it
        """A job as it is stored."""
        return super().fetch(id, connection=connection, serializer=JSONSerializer)


class ChoreScheduler(Scheduler):  # type: ignore[misc] # it has no types
    """The chores of one group that are due, with ids by which a doubled one is seen."""

    def __init__(self, client: redis.Redis, keys: Keys, group: str) -> None:
        self.scheduled_jobs_key = keys.chores_due(group)
        self._queue_key = keys.chores()
        super().__init__(keys.chores_name(), connection=client, job_class=ChoreJob)

    def now_s(self) -> int:
        """Redis' time."""
        return int(cast("tuple[int, int]", self.connection.time())[0])

    def get_jobs_to_queue(self, with_times: bool = False) -> Iterable[Any]:  # noqa: FBT001, FBT002 - as it is called
        """Those that are due by Redis' clock."""
        return cast("Iterable[Any]", self.get_jobs(self.now_s(), with_times=with_times))

    def enqueue_job(self, job: Job) -> None:
        """Put a chore on the queue, unless it lies there still: nobody works, and one is enough."""
        if self.connection.lpos(self._queue_key, job.id) is None:
            super().enqueue_job(job)
        again = self.now_s() + int(job.meta["interval"])
        self.connection.zadd(self.scheduled_jobs_key, {job.id: again})


class Housekeeping:
    """The leader's part in chores: call `run_due` with every turn."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        group: str,
        tools: Tools,
        chores: Mapping[str, Chore] = CHORES,
    ) -> None:
        self._client = client
        self._keys = keys
        self._group = group
        self._tools = tools
        self._clock = tools.clock
        self._chores = chores
        self._scheduler = ChoreScheduler(client, keys, group)
        self._next = 0.0
        self._log = get_logger(group=group)

    def run_due(self) -> None:
        """Put on the queue what is due, once a second at most.

        What RQ writes is refused by a full Redis, which must be drained all the same: then the leader
        forgets what is old by itself, a little each time. Raises StoreUnavailable.
        """
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + _LOOK_EVERY_S
        try:
            with speaking_to(self._client):
                if self._scheduler.count() < len(self._chores):
                    self._plan()
                self._scheduler.enqueue_jobs()
        except RedisFull:
            forgotten = forget_some(self._tools, self._group, self._tools.before_ms())
            self._log.warning("chores.no_room", then=f"{forgotten} sessions were forgotten")

    def _plan(self) -> None:
        """Note every chore, due now; what was noted before goes on as it was."""
        now = datetime.fromtimestamp(self._scheduler.now_s(), UTC)
        for name, chore in self._chores.items():
            job = chore_id(self._keys, self._group, name)
            if job not in self._scheduler:
                self._scheduler.schedule(
                    now,
                    name,
                    args=[self._group],
                    interval=chore.every_s,
                    id=job,
                    description=f"chore {name} of group {self._group}",
                )
                self._log.debug("chore.planned", chore=name, every_s=chore.every_s)
