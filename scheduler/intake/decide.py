"""What follows from what happened to a placed session: pure functions, one per kind of news.

Each answers the moves to write and the session as it is once they are written; None for a session
that is placed no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from scheduler.domain.moves import Claim, Finish, Lose, Move, Over, Stop, Up
from scheduler.domain.queue import Outcome
from scheduler.domain.session import headline
from scheduler.domain.spec import OnLost
from scheduler.domain.states import STOP_STRENGTH, KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.protocol.report import EndReason, KernelReport

#: The agent stops a kernel at its deadline by itself; the leader is the second to notice.
DEADLINE_SLACK_MS = 2_000

#: Characters of an error that the history keeps of each attempt; there may be a thousand.
_TOLD = 300

_SAYS = {
    "failed": "a kernel failed",
    "lost": "an agent was lost",
    "unplaced": "an order was not claimed in time",
}


class Queue(Protocol):
    """Says what follows the end of an attempt."""

    def on_job_complete(self, job: PlacedSession, success: bool, error: str) -> Outcome:  # noqa: FBT001 - as the seed has it
        """What becomes of the session: it ends, or is tried again after a while."""
        ...


@dataclass(slots=True)
class Rules:
    """What a group's options and the settings say about lives; changed when the options are."""

    barrier_ms: int
    max_rescues: int
    queue: Queue
    stop_order: Callable[[PlacedSession, PlacedKernel, str], str]


@dataclass(frozen=True, slots=True)
class Decision:
    """Moves, and the session after them (None: placed no more)."""

    moves: tuple[Move, ...]
    session: PlacedSession | None


def claimed(session: PlacedSession, kernel: PlacedKernel, number: int, rules: Rules) -> Decision:
    """An agent took the order of a kernel."""
    if kernel.state is not KernelState.ORDERED:
        return Decision((), session.with_kernel(replace(kernel, claim=number)))
    move = Claim(
        session.id,
        session.placement,
        kernel.index,
        session.agents,
        rules.barrier_ms,
        session.timeout_ms,
    )
    after = session.with_kernel(replace(kernel, state=KernelState.CLAIMED, claim=number))
    if session.state is SessionState.SCHEDULED:
        after = replace(after, state=SessionState.PREPARING, attempt=session.attempt + 1)
    return Decision((move,), after)


def up(session: PlacedSession, kernel: PlacedKernel, rules: Rules) -> Decision:
    """The process of a kernel runs."""
    moves: tuple[Move, ...] = ()
    if kernel.state is KernelState.ORDERED:
        # Its claim was told in the same breath and is applied first.
        first = claimed(session, kernel, kernel.claim, rules)
        moves, session = first.moves, first.session or session
        kernel = session.kernels[kernel.index]
    if kernel.state is not KernelState.CLAIMED:
        return Decision(moves, session)
    after = session.with_kernel(replace(kernel, state=KernelState.UP))
    last = session.state is SessionState.PREPARING and all(
        k.state is KernelState.UP for k in after.kernels
    )
    move = Up(
        session.id,
        session.placement,
        kernel.index,
        int(last),
        session.timeout_ms + DEADLINE_SLACK_MS,
    )
    return Decision((*moves, move), replace(after, state=SessionState.RUNNING) if last else after)


def ended(
    session: PlacedSession, kernel: PlacedKernel, report: KernelReport, rules: Rules
) -> Decision:
    """A kernel is over."""
    moves: tuple[Move, ...] = ()
    if kernel.state is KernelState.ORDERED:
        first = claimed(session, kernel, kernel.claim, rules)
        moves, session = first.moves, first.session or session
        kernel = session.kernels[kernel.index]
    if not kernel.live:
        return Decision(moves, session)
    over = Over(
        session=session.id,
        placement=session.placement,
        kernel=kernel.index,
        exit_code="" if report.exit_code is None else str(report.exit_code),
        signal="" if report.signal is None else str(report.signal),
        reason=report.reason,
        error=report.error,
        result=report.result or "" if kernel.index == 0 else "",
    )
    after = session.with_kernel(
        replace(
            kernel,
            state=KernelState.ENDED,
            exit_code=report.exit_code,
            reason=report.reason,
            error=report.error,
        )
    )
    return _go_on(after, (*moves, over), rules)


def lost(
    session: PlacedSession, kernels: Iterable[PlacedKernel], why: str, rules: Rules
) -> Decision:
    """The agent of some live kernels is certainly dead."""
    moves: list[Move] = []
    for kernel in kernels:
        if kernel.live:
            moves.append(Lose(session.id, session.placement, kernel.index, why))
            session = session.with_kernel(
                replace(kernel, state=KernelState.LOST, reason="lost", error=why)
            )
    return _go_on(session, tuple(moves), rules) if moves else Decision((), session)


def stop(session: PlacedSession, reason: str, says: str, rules: Rules) -> Decision:
    """Stop a session, unless it is being stopped for as strong a reason.

    What becomes of unclaimed orders only the script knows, so the session after it must be read again.
    """
    if (
        session.state is SessionState.TERMINATING
        and STOP_STRENGTH.get(session.reason, 0) >= STOP_STRENGTH[reason]
    ):
        return Decision((), session)
    live = [kernel for kernel in session.kernels if kernel.live]
    move = Stop(
        session=session.id,
        placement=session.placement,
        reason=reason,
        says=says,
        kernels=[
            {"index": k.index, "agent": k.agent, "stop": rules.stop_order(session, k, reason)}
            for k in live
        ],
        agents=session.agents,
    )
    return Decision(
        (move,), replace(session, state=SessionState.TERMINATING, reason=reason, says=says)
    )


def timer(session: PlacedSession, rules: Rules) -> Decision:
    """The time that a placed session was given for its present state is over."""
    match session.state:
        case SessionState.SCHEDULED:
            return stop(session, "unplaced", "its order was not claimed in time", rules)
        case SessionState.PREPARING if any(k.state is KernelState.ORDERED for k in session.kernels):
            return stop(session, "unplaced", "an order of it was not claimed in time", rules)
        case SessionState.PREPARING:
            return stop(
                session,
                "failed",
                f"not all kernels were up within {rules.barrier_ms / 1000:g} s",
                rules,
            )
        case SessionState.RUNNING:
            return stop(
                session,
                "timed_out",
                f"it ran for longer than {session.timeout_ms / 1000:g} s",
                rules,
            )
        case _:
            return Decision((), session)


def _go_on(session: PlacedSession, moves: tuple[Move, ...], rules: Rules) -> Decision:
    """After a kernel is over: wait for the others, stop them, or conclude."""
    if not any(kernel.live for kernel in session.kernels):
        return Decision((*moves, conclude(session, rules)), None)
    reason, says = _why_over(session)
    if reason and reason != "cancelled":
        stopping = stop(session, reason, says, rules)
        return Decision((*moves, *stopping.moves), stopping.session)
    return Decision(moves, session)


def _why_over(session: PlacedSession) -> tuple[str, str]:
    """The strongest reason among kernels that are over, and a sentence; ("", "") where all went well."""
    found = ("", "")
    for kernel in session.kernels:
        reason = _kernel_reason(kernel)
        if STOP_STRENGTH.get(reason, 0) > STOP_STRENGTH.get(found[0], 0):
            found = (reason, kernel.error or _sentence(kernel))
    return found


def _kernel_reason(kernel: PlacedKernel) -> str:
    if kernel.state is KernelState.LOST or kernel.reason == EndReason.AGENT_LEFT:
        return "lost"
    if kernel.state is KernelState.WITHDRAWN:
        return "unplaced"
    if kernel.state is not KernelState.ENDED or _well(kernel):
        return ""
    if kernel.reason in (EndReason.TIMED_OUT, EndReason.SILENT):
        return kernel.reason
    # Stopped by us: the session knows why.
    return "" if kernel.reason == EndReason.STOPPED else "failed"


def _well(kernel: PlacedKernel) -> bool:
    if kernel.state is not KernelState.ENDED:
        return False
    # Its work was done when its output said so, however its process was ended then.
    exited = kernel.exit_code == 0 and kernel.reason == EndReason.EXITED
    return exited or kernel.reason == EndReason.DONE_PATTERN


def _sentence(kernel: PlacedKernel) -> str:
    if kernel.reason == EndReason.EXITED:
        return f"kernel {kernel.index} exited with {kernel.exit_code}"
    why = kernel.reason.replace("_", " ")
    if kernel.state is KernelState.WITHDRAWN:
        why = "its order was not claimed in time"
    return f"kernel {kernel.index} on {kernel.agent}: {why}"


def conclude(session: PlacedSession, rules: Rules) -> Finish:
    """How a session ends whose kernels are all over (architecture 4: end and rescue)."""
    reason, says = _why_over(session)
    if session.state is SessionState.TERMINATING and STOP_STRENGTH.get(
        session.reason, 0
    ) >= STOP_STRENGTH.get(reason, 0):
        reason, says = session.reason, says or session.says
    if reason != "cancelled" and all(_well(kernel) for kernel in session.kernels):
        noticed = {kernel.reason for kernel in session.kernels} - {str(EndReason.EXITED)}
        return _finish(session, SessionState.SUCCEEDED, "".join(noticed), "")
    if reason == "cancelled":
        return _finish(session, SessionState.CANCELLED, session.says or "cancelled", "")
    if reason == "unplaced":
        return _finish(session, SessionState.READY, says or _SAYS[reason], "", uncounted=1)
    if reason == "lost":
        return _after_loss(session, says, rules)
    follows = rules.queue.on_job_complete(session, success=False, error=reason or "failed")
    if follows.state is not SessionState.RETRYING:
        reason = reason or "failed"
    return _finish(session, follows.state, reason, says, delay=follows.delay_ms)


def _after_loss(session: PlacedSession, says: str, rules: Rules) -> Finish:
    policy = session.request.on_lost
    if policy is OnLost.RERUN and not any(k.state is KernelState.LOST for k in session.kernels):
        # Its agent was stopped in order: a rolling restart of all agents must not fail a long session.
        return _finish(session, SessionState.READY, "lost", says, uncounted=1)
    if policy is OnLost.RERUN and session.rescues < rules.max_rescues:
        return _finish(session, SessionState.READY, "lost", says, rescued=1, uncounted=1)
    if policy is OnLost.RERUN:
        says = f"its agent was lost {session.rescues + 1} times; {says}"
    return _finish(session, SessionState.FAILED, "lost", says)


def _finish(  # noqa: PLR0913 - the fields of one move
    session: PlacedSession,
    target: SessionState,
    reason: str,
    error: str,
    *,
    delay: int = 0,
    rescued: int = 0,
    uncounted: int = 0,
) -> Finish:
    any_lost = any(kernel.state is KernelState.LOST for kernel in session.kernels)
    return Finish(
        session=session.id,
        placement=session.placement,
        edge="rescue" if any_lost and target is not SessionState.SUCCEEDED else "end",
        target=str(target),
        reason=reason,
        error=error,
        told=headline(error)[:_TOLD] or reason,
        rescued=rescued,
        uncounted=uncounted,
        delay=delay,
    )
