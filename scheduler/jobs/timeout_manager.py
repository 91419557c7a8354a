"""The timers of a group's sessions: deadlines, back-offs, start times.

They are one sorted set in Redis, read by Redis' clock, so no process that dies takes one along, and no
clock but that one can make anything early or late. The agent holds the deadline of what it runs by
itself; whoever notices first, the move that ends a placement is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scheduler.domain.moves import Settle, Timer
from scheduler.domain.session import SessionData
from scheduler.domain.states import PLACED, SessionState


class Timers(Protocol):
    """Where a group's timers are read."""

    def due(self) -> tuple[int, list[str], int | None]:
        """Redis' time in ms, sessions whose timer is due, and when the next one will be."""
        ...


class Placed(Protocol):
    """A placed session, as far as its timer goes."""

    @property
    def id(self) -> str: ...
    @property
    def placement(self) -> str: ...
    @property
    def timeout_ms(self) -> int: ...


class TimeoutManager:
    """What a leader does about time; what follows for a session on agents, `decide` says.

    ``slack_ms`` is by how much the leader's look at a deadline is later than the agents' own.
    """

    def __init__(self, group: str, timers: Timers, slack_ms: int) -> None:
        self._group = group
        self._slack_ms = slack_ms
        self._timers = timers
        self.now_ms = 0  #: Redis' clock, as it was read last
        self.next_ms: int | None = None  #: when the next timer will be due

    def due(self) -> Sequence[str]:
        """Sessions whose time has come, earliest first, 200 at most. Raises StoreUnavailable."""
        self.now_ms, found, self.next_ms = self._timers.due()
        return found

    def set_timer(self, session: Placed, told: Sequence[Mapping[str, Any]]) -> Timer:
        """The move by which a placed session has until its timeout, counted from its start.

        ``told`` is what its agents are told: [{index, agent, text}], signed.
        """
        return Timer(
            session=session.id,
            placement=session.placement,
            timeout=session.timeout_ms,
            slack=self._slack_ms,
            kernels=told,
        )

    def clear_timer(self, session: str, why: str = "") -> Settle:
        """The move that takes away the timer of a session that is gone, over, or of another group.

        One that still waits is ended by it.
        """
        return Settle(session, self._group, "expire", why)

    def handle_timeout(self, session: str, data: SessionData | None) -> Settle | None:
        """What becomes of a session on no agent whose time has come; None where its record says it is on one."""
        if data is None:
            return self.clear_timer(session)
        if data.state in PLACED and data.group == self._group:
            return None
        if data.unreadable:
            return self.clear_timer(session, data.spoilt)
        if data.state is SessionState.RETRYING:
            return Settle(session, self._group, "requeue", "")
        if data.state is SessionState.PENDING and not data.unmet:
            # Without unmet dependencies it waits for its start time, and only for that.
            return Settle(session, self._group, "release", "")
        return self.clear_timer(session, "it waited for longer than its group allows")
