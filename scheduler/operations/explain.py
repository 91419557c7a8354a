"""Why a session does not run now, what would change that, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from scheduler.domain.position import Position
from scheduler.domain.session import SessionData
from scheduler.domain.states import FINAL, PLACED, SessionState
from scheduler.domain.verdict import Excess
from scheduler.operations.whynot import AgentAnswer
from scheduler.plugins import asking
from scheduler.plugins.interfaces import AbstractValidator, ValidatorContext

#: By whom all are refused where the leader's turn does not end.
HANGING = "leader's turn"
#: States in which a session waits for an agent, or for what comes before that.
WAITS_FOR_AGENTS = (SessionState.PENDING, SessionState.READY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rule's no: who, why, and what would cure it."""

    by: str
    reason: str
    cures: tuple[str, ...]
    excesses: tuple[Excess, ...] = ()  #: the numbers of the reason, where it counts something

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = [asdict(excess) | {"over": excess.over} for excess in self.excesses]
        return {
            "by": self.by,
            "reason": self.reason,
            "cures": list(self.cures),
            "numbers": numbers,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to "why is it not running"."""

    session: str
    state: SessionState
    says: str
    position: int | None  #: the number of ``stands``
    refusals: tuple[Refusal, ...]
    tries: int
    last_tried_at: int | None
    #: When it starts at the latest (ms), where room is reserved for it.
    expected_start: int | None = None
    tried_again_at: int | None = None  #: when the back-off of a RETRYING one is over (ms)
    #: When it is cancelled if it waits until then, by its group's pending timeout (ms).
    waits_until: int | None = None
    stands: Position | None = None  #: of a READY session: where it stands, and in which order
    agents: tuple[AgentAnswer, ...] = ()  #: why not on them, nearest miss first, where it was asked

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "session": self.session,
            "state": str(self.state),
            "says": self.says,
            "position": self.position,
            "stands": self.stands.as_dict() if self.stands else None,
            "refusals": [refusal.as_dict() for refusal in self.refusals],
            "tries": self.tries,
            "last_tried_at": self.last_tried_at,
            "expected_start": self.expected_start,
            "tried_again_at": self.tried_again_at,
            "waits_until": self.waits_until,
            "agents": [agent.as_dict() for agent in self.agents],
        }


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The answer to "why not on this agent"."""

    answer: AgentAnswer
    refusals: tuple[Refusal, ...]  #: what keeps it from every agent

    @property
    def says(self) -> str:
        """In one sentence."""
        if self.answer.obstacles or not self.refusals:
            return self.answer.says
        return f"{self.answer.says}, but {self.refusals[0].reason}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        refusals = [refusal.as_dict() for refusal in self.refusals]
        return self.answer.as_dict() | {"says": self.says, "refusals": refusals}


class Facts(Protocol):
    """What explaining reads."""

    def get(self, session: str) -> SessionData: ...
    def position(self, data: SessionData) -> Position | None: ...
    def timer(self, data: SessionData) -> int | None: ...
    def verdict(self, group: str, request: str) -> dict[str, Any] | None: ...


def explain(
    session: str,
    facts: Facts,
    validators: tuple[AbstractValidator, ...],
    context_of: Callable[[SessionData], ValidatorContext],
    of_group: Callable[[str], list[Refusal]],
) -> Explanation:
    """Explain one session. Raises SessionNotFound.

    A waiting session is asked of the validators again, on what is true now; what only the leader can
    know (that no agent has room) comes from the verdict it left. ``of_group`` says what holds up all
    sessions of a group.
    """
    data = facts.get(session)
    if data.state not in WAITS_FOR_AGENTS:
        again = facts.timer(data) if data.state is SessionState.RETRYING else None
        says = state_in_words(data)
        return Explanation(data.id, data.state, says, None, (), 0, None, tried_again_at=again)
    context = context_of(data)
    refusals = [
        Refusal(f.by, f.reason, tuple(cure.says for cure in f.cures), f.excesses)
        for f in asking.refusals(validators, context)
    ]
    noted = facts.verdict(data.group, data.request.id) if data.state is SessionState.READY else None
    whole = of_group(data.group)
    # Before what the leader noted, which is old where it decides nothing.
    refusals += [refusal for refusal in whole if refusal.by == HANGING]
    # What a rule said then is not told beside what it says now.
    asked = {validator.name for validator in validators}
    refusals += [
        Refusal(failure["by"], failure["reason"], tuple(failure["cures"]))
        for failure in (noted["failures"] if noted else ())
        if failure["by"] not in asked
    ]
    refusals += [refusal for refusal in whole if refusal.by != HANGING]
    says = "it waits for its turn" if not refusals else refusals[0].reason
    # Room is reserved for the first session of a kind of request, and while rules admit it.
    expected = (noted or {}).get("expected", {})
    admitted = not any(refusal.by in asked for refusal in refusals)
    if promised := admitted and expected.get("session") == data.id:
        says += f"; {expected['says']}"
    if not data.request.known:
        says = "what it asked for is gone from Redis, so it can never be placed; submit it again"
    if data.unsealed:
        says = "its dependencies are still being loaded by the app that submitted it"
    stands = facts.position(data)
    # Who waits for nothing but a start time is looked at then, and not cancelled.
    limited = data.state is SessionState.READY or data.unmet
    return Explanation(
        session=data.id,
        state=data.state,
        says=says,
        position=stands.number if stands else None,
        stands=stands,
        refusals=tuple(refusals),
        tries=noted["tries"] if noted else 0,
        last_tried_at=noted["last_at"] if noted else None,
        expected_start=expected["at"] if promised else None,
        waits_until=facts.timer(data) if limited else None,
    )


def state_in_words(data: SessionData) -> str:
    """Where a session is that does not wait for an agent."""
    if data.state in FINAL:
        return f"it ended {data.state}" + (f" ({data.why})" if data.why else "")
    if data.state in PLACED:
        where = ", ".join(sorted({k.agent for k in data.kernels}))
        return f"it is {data.state} on {where}" + (f" ({data.reason})" if data.reason else "")
    return f"it failed ({data.why}) and is tried again after its back-off"
