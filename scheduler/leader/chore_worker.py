"""Works on chores in every replica, followers too: one at a time, in a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import redis
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.queue import Queue

from scheduler.domain.errors import SchedulerError
from scheduler.leader.housekeeping import ChoreJob, chore_id
from scheduler.leader.housework import CHORES, Chore, Tools
from scheduler.observability.logs import get_logger
from scheduler.service.loop import Service
from scheduler.store.chores import ChoreRun
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys

_LOOK_EVERY_S: Final = 1.0


class ChoreWorker:
    """Takes chores from their queue. What a job names is looked up in a table: nothing else is run.

    A chore that is cut off is lost, and comes again with the next interval. ``client`` is RQ's own:
    it takes bytes.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        tools: Tools,
        replica: str,
        chores: Mapping[str, Chore] = CHORES,
    ) -> None:
        self._client = client
        self._keys = keys
        self._tools = tools
        self._replica = replica
        self._chores = chores
        self._log = get_logger(replica=replica)
        self._service = Service("chores", self.run_once)

    def start(self) -> None:
        """Begin."""
        self._service.start()

    def stop(self) -> None:
        """End after the chore that is being done, or leave it: it comes again."""
        self._service.stop()

    def run_once(self) -> float:
        """One chore, if there is one; seconds until the next look."""
        with speaking_to(self._client):
            taken = Queue.lpop([self._keys.chores()], None, connection=self._client)
            if taken is None:
                return _LOOK_EVERY_S
            job = self._job(taken[1].decode(errors="replace"))
        if job is not None:
            self._do(job)
        return 0.0

    def _job(self, job_id: str) -> tuple[Job, str, str] | None:
        """A job with its chore and group; None, and a line in the log, for what is none of ours."""
        try:
            job = ChoreJob.fetch(job_id, connection=self._client)
            name, args = str(job.func_name), job.args
        except (NoSuchJobError, DeserializationError, ValueError, TypeError) as error:
            self._log.warning("chore.unreadable", job=job_id[:64], why=str(error))
            return None
        known = name in self._chores and len(args) == 1 and isinstance(args[0], str)
        if not known or job_id != chore_id(self._keys, args[0], name):
            self._log.warning("chore.unknown", job=job_id[:64])
            return None
        return job, name, args[0]

    def _do(self, found: tuple[Job, str, str]) -> None:
        job, name, group = found
        began_ms, began = self._tools.retention.now_ms(), self._tools.clock.monotonic()
        try:
            says, status = self._chores[name].do(self._tools, group), JobStatus.FINISHED
        except SchedulerError as error:
            says, status = str(error), JobStatus.FAILED
            self._log.warning("chore.failed", chore=name, of=group, why=says)
        took_ms = round((self._tools.clock.monotonic() - began) * 1000)
        well = status is JobStatus.FINISHED
        self._tools.notes.note(
            group, ChoreRun(name, began_ms, took_ms, self._replica, says, well=well)
        )
        with speaking_to(self._client):
            job.set_status(status)
