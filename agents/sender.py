"""Sends logs and reports, in order, and again until Redis has taken them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agents.identity import Identity
from agents.logs import OutputLog
from agents.post import Post
from scheduler.domain.errors import RedisFull, StoreUnavailable
from scheduler.protocol import report as reports
from scheduler.service.loop import Service

# They share one signature and one entry of the stream, which the leader hears as a whole.
_BATCH: Final = 50
# A script's arguments are held in Redis' memory at once; results take up to 1 MiB each.
_BATCH_BYTES: Final = 2 * 1024 * 1024
_NOTHING_TO_DO_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """How much of each kernel's output is kept, and for how long."""

    cap: int
    ttl_s: int


class Sender:
    """The one place from which the agent reports.

    What waits here is bounded by the kernels that exist: without Redis nothing is claimed.
    """

    def __init__(
        self, post: Post, identity: Identity, keeping: LogKeeping, told: Callable[[str], None]
    ) -> None:
        self._post = post
        self._key = identity.key
        self._keeping = keeping
        self._told = told
        self._logs: deque[tuple[OutputLog, str, str]] = deque()
        self._reports: deque[reports.Report] = deque()
        self._pause = 0.0
        self._silent = False
        self._empty = threading.Condition()
        self._log = identity.log()
        self._service = Service("sender", self.run_once)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._service.start()

    def report(self, report: reports.Report) -> None:
        """Send a report after all that was given before it, at the next `wake`."""
        self._reports.append(report)

    def log(self, log: OutputLog, stream: str, text: str) -> None:
        """Send a piece of output before all reports that are given after it, at the next `wake`."""
        self._logs.append((log, stream, text))

    def wake(self) -> None:
        """Send what was given; once for many, as each time may cost a round trip of its own."""
        if self._reports or self._logs:
            self._service.wake()

    def silence(self) -> None:
        """Say nothing any more: this boot does not count."""
        self._silent = True

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent; whether it was."""
        self._service.wake()
        with self._empty:
            return self._empty.wait_for(lambda: not self._reports and not self._logs, timeout)

    def run_once(self) -> float:
        """Send what waits; seconds until the next try."""
        try:
            while (self._reports or self._logs) and not self._silent:
                # The reports first: whatever was logged before them is then among the logs.
                batch = self._next_batch()
                self._send_logs()
                self._send_reports(batch)
        except (StoreUnavailable, RedisFull) as error:
            if not self._pause:
                self._log.warning("agent.reports_wait", why=str(error), reports=len(self._reports))
            self._pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, self._pause * 2))
            return self._pause
        self._pause = 0.0
        with self._empty:
            self._empty.notify_all()
        return _NOTHING_TO_DO_S

    def _next_batch(self) -> list[reports.Report]:
        batch: list[reports.Report] = []
        size = 0
        for index in range(min(len(self._reports), _BATCH)):
            report = self._reports[index]
            size += len(getattr(report, "result", None) or "")
            if batch and size > _BATCH_BYTES:
                break
            batch.append(report)
        return batch

    def _send_logs(self) -> None:
        while self._logs:
            log, stream, text = self._logs[0]
            try:
                kept = self._post.log(
                    log.order, stream, text, cap=self._keeping.cap, ttl_s=self._keeping.ttl_s
                )
            except RedisFull:
                kept = False  # output is worth less than room for the end of work
            if not kept:
                log.full = True
            self._logs.popleft()

    def _send_reports(self, batch: list[reports.Report]) -> None:
        if not batch:
            return
        self._post.report([reports.encode_many(batch, self._key)])
        for report in batch:
            self._reports.popleft()
            if isinstance(report, reports.KernelReport) and report.kind is reports.ReportKind.ENDED:
                self._told(report.order)
