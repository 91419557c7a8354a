"""Placed sessions in any state, and what happens to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from scheduler.domain.request import request_of
from scheduler.domain.retry import RetryPolicy
from scheduler.domain.spec import OnLost, SessionSpec
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.intake.decide import Rules
from scheduler.jobs.execution_queue import ExecutionQueue
from scheduler.protocol.report import EndReason, KernelReport, ReportKind

K = KernelState
SESSION = "0" * 26
PLACEMENT, BOOT = "c" * 32, "b" * 32


def rules(*, max_rescues: int = 3) -> Rules:
    """A barrier of a minute, a back-off of a second without spread, unsigned stop orders."""
    return Rules(
        barrier_ms=60_000,
        max_rescues=max_rescues,
        queue=ExecutionQueue(cast("Any", None), RetryPolicy(initial_ms=1_000), lambda: 0.0),
        stop_order=lambda session, kernel, reason: f"stop {session.order(kernel.index)} {reason}",
    )


def placed(  # noqa: PLR0913 - the facts of one session
    state: SessionState,
    kernels: Sequence[KernelState],
    *,
    attempt: int = 1,
    retries: int = 0,
    retries_from: int = 0,
    rescues: int = 0,
    reason: str = "",
    on_lost: OnLost = OnLost.RERUN,
) -> PlacedSession:
    """A session whose kernels are in the given states, each on an agent of its own."""
    spec = SessionSpec(callable="a:b", cluster_size=len(kernels), retries=retries, on_lost=on_lost)
    return PlacedSession(
        id=SESSION,
        state=state,
        request=request_of(spec),
        placement=PLACEMENT,
        kernels=tuple(
            PlacedKernel(
                index,
                life,
                f"a{index}",
                BOOT,
                {"cpu": 1000},
                exit_code=0 if life is K.ENDED else None,
                reason=EndReason.EXITED if life is K.ENDED else "",
            )
            for index, life in enumerate(kernels)
        ),
        attempt=attempt,
        retries_from=retries_from,
        rescues=rescues,
        reason=reason,
        says=f"says {reason}" if reason else "",
    )


def over(
    kernel: int = 0,
    exit_code: int | None = 0,
    reason: str = EndReason.EXITED,
    error: str = "",
    result: str | None = None,
) -> KernelReport:
    """The report that a kernel ended."""
    return KernelReport(
        kind=ReportKind.ENDED,
        agent=f"a{kernel}",
        boot=BOOT,
        session=SESSION,
        kernel=kernel,
        placement=PLACEMENT,
        exit_code=exit_code,
        reason=reason,
        error=error,
        result=result,
    )
