"""Reads the sessions that are placed when a term begins: all of them, before anything is decided.

A record as it mostly is, of one kernel and nothing odd, is read by those of its fields that the board keeps,
which takes a tenth of reading it whole: a leader of 20,000 placed sessions began seconds later. Any other is
read whole, which names what makes no sense.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from scheduler.domain.request import Request
from scheduler.domain.session import SessionData
from scheduler.domain.states import PLACED, KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession, placed_from, with_timeout
from scheduler.store.leadership import LeaderStore
from scheduler.store.reading import Row
from scheduler.store.rows import slots_from
from scheduler.store.sessions import SessionRepository

_PAGE: Final = 1_000
_STATES: Final = {str(state): state for state in PLACED}
_KERNEL_STATES: Final = {str(state): state for state in KernelState}
_KERNEL: Final = ("state", "agent", "boot", "slots", "exit_code", "reason", "error")
FIELDS: Final = (
    "group",
    "kernels",
    "state",
    "request",
    "placement",
    "attempt",
    "retries_from",
    "rescues",
    "reason",
    "error",
    "cancel_requested",
    "priority",
    "placed_at",
    "running_at",
    "timeout_ms",
    "own_timeout_ms",
    *(f"kernel:0:{name}" for name in _KERNEL),
)


def read_placed(leader: LeaderStore, sessions: SessionRepository) -> Iterator[PlacedSession]:
    """Every placed session of the group whose record makes sense that far. Raises StoreUnavailable."""
    ids = leader.placed_ids()
    pages = [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]
    # Redis reads the next pages while one is taken apart here: a third of the time was waiting for it.
    ahead = ThreadPoolExecutor(1, "placed")
    try:
        coming = [ahead.submit(leader.read, page, FIELDS) for page in pages]
        yield from _taken_apart(leader.term.group, sessions, zip(pages, coming, strict=True))
    finally:
        ahead.shutdown(cancel_futures=True)


def _taken_apart(
    group: str, sessions: SessionRepository, pages: Iterable[tuple[list[str], Future[list[Row]]]]
) -> Iterator[PlacedSession]:
    requests: dict[str, Request] = {}
    for page, coming in pages:
        rows = dict(zip(page, coming.result(), strict=True))
        asked = {row[3] for row in rows.values() if row and row[3]}
        requests |= sessions.requests(asked - requests.keys())
        plain = {
            session: plainly_placed(session, row, group, requests)
            for session, row in rows.items()
            if row
        }
        whole = sessions.many(session for session in page if not plain.get(session))
        yield from filter(None, plain.values())
        yield from (placed_from(data) for data in whole if stands(data, group))


def stands(data: SessionData, group: str) -> bool:
    """Whether it is placed, as far as its record makes sense."""
    whole = bool(data.kernels) and all(kernel.agent for kernel in data.kernels)
    return whole and data.state in PLACED and data.group == group


def plainly_placed(
    session: str, row: Sequence[str | None], group: str, requests: Mapping[str, Request]
) -> PlacedSession | None:
    """Read those fields of a session; None where they are not as they mostly are."""
    if row[:2] != [group, "1"]:
        return None
    state, asked, placement, attempt, retries, rescues, reason, error, cancel, *rest = row[2:]
    priority, placed_at, running_at, timeout, own_timeout, *kernel = rest
    kernel_state, agent, boot, slots, exit_code, kernel_reason, kernel_error = kernel
    request = requests.get(asked or "")
    if request is None or not agent or boot is None:
        return None
    try:
        stopping = _STATES[state or ""] is SessionState.TERMINATING
        return PlacedSession(
            id=session,
            state=_STATES[state or ""],
            request=with_timeout(request, int(timeout) if timeout else None),
            placement=placement or "",
            kernels=(
                PlacedKernel(
                    index=0,
                    state=_KERNEL_STATES[kernel_state or ""],
                    agent=agent,
                    boot=boot,
                    slots=slots_from(slots or ""),
                    exit_code=int(exit_code) if exit_code else None,
                    reason=kernel_reason or "",
                    error=kernel_error or "",
                ),
            ),
            attempt=int(attempt or 0),
            retries_from=int(retries or 0),
            rescues=int(rescues or 0),
            reason=reason or "" if stopping else "",
            says=error or "" if stopping else "",
            cancel_requested=cancel,
            priority=int(priority or ""),
            placed_at=int(placed_at or 0),
            running_at=int(running_at) if running_at else None,
            own_timeout_ms=int(own_timeout) if own_timeout else None,
        )
    except (KeyError, ValueError):
        return None
