"""The usual life of a session with one kernel: claimed, up, ended well; what came together is one move.

Whatever is not usual is left to `decide`, report by report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from scheduler.domain.moves import Advance
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.intake.decide import DEADLINE_SLACK_MS, Decision, Rules
from scheduler.protocol.report import EndReason, KernelReport, ReportKind

#: What each report makes of a kernel, in the order of a life.
_BECOMES: Final[Mapping[ReportKind, KernelState]] = {
    ReportKind.CLAIMED: KernelState.CLAIMED,
    ReportKind.UP: KernelState.UP,
    ReportKind.ENDED: KernelState.ENDED,
}
_BEFORE: Final[Mapping[KernelState, KernelState]] = {
    KernelState.CLAIMED: KernelState.ORDERED,
    KernelState.UP: KernelState.CLAIMED,
    KernelState.ENDED: KernelState.UP,
}
#: The state of a session by that of its one kernel.
_SESSION: Final[Mapping[KernelState, SessionState]] = {
    KernelState.ORDERED: SessionState.SCHEDULED,
    KernelState.CLAIMED: SessionState.PREPARING,
    KernelState.UP: SessionState.RUNNING,
}


def advanced(
    session: PlacedSession, said: Sequence[tuple[KernelReport, int]], rules: Rules
) -> Decision | None:
    """One move for reports of the one kernel of a session, each with the number of its claim.

    It writes what `decide` would have written one after the other. None where that is not what was
    said: another kernel or boot, a step too many or too few, an end that is not a success.
    """
    if len(session.kernels) != 1 or session.kernels[0].state not in _SESSION:
        return None
    kernel, claim = session.kernels[0], 0
    begins = state = kernel.state
    if session.state is not _SESSION[begins]:
        return None
    for report, number in said:
        becomes = _BECOMES[report.kind]
        if _BEFORE[becomes] is not state or not _is_its(report, session, kernel):
            return None
        if becomes is KernelState.ENDED and not _ended_well(report):
            return None
        claim = number if becomes is KernelState.CLAIMED else claim
        state = becomes
    move = Advance(
        session=session.id,
        placement=session.placement,
        begins=begins,
        ends=state,
        agents=session.agents,
        barrier=rules.barrier_ms,
        timeout=session.timeout_ms,
        deadline=session.timeout_ms + DEADLINE_SLACK_MS,
        result=said[-1][0].result or "",
    )
    return Decision((move,), _after(session, state, claim))


def _is_its(report: KernelReport, session: PlacedSession, kernel: PlacedKernel) -> bool:
    return (
        report.kernel == 0
        and report.placement == session.placement
        and report.boot == kernel.boot
        and report.agent == kernel.agent
    )


def _ended_well(report: KernelReport) -> bool:
    return (
        report.exit_code == 0
        and report.reason == EndReason.EXITED
        and report.signal is None
        and not report.error
    )


def _after(session: PlacedSession, state: KernelState, claim: int) -> PlacedSession | None:
    if state is KernelState.ENDED:
        return None
    kernel = session.kernels[0]
    claimed = kernel.state is KernelState.ORDERED
    return PlacedSession(
        id=session.id,
        state=_SESSION[state],
        request=session.request,
        placement=session.placement,
        kernels=(
            PlacedKernel(
                index=0,
                state=state,
                agent=kernel.agent,
                boot=kernel.boot,
                slots=kernel.slots,
                claim=claim if claimed else kernel.claim,
            ),
        ),
        attempt=session.attempt + claimed,
        retries_from=session.retries_from,
        rescues=session.rescues,
        cancel_requested=session.cancel_requested,
        priority=session.priority,
        placed_at=session.placed_at,
        own_timeout_ms=session.own_timeout_ms,
    )
