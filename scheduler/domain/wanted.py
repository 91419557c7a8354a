"""Which sessions of a list are wanted: by a pattern of their names, by an agent that has kernels of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.ids import has_control_characters, is_name, shown
from scheduler.domain.scope import LONGEST_NAME
from scheduler.domain.session import SessionData
from scheduler.domain.states import KERNEL_LIVE, PLACED, SessionState


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is narrowed by; None is by nothing."""

    name: str | None = None  #: a pattern such as train-*; without * ? [ the name itself
    agent: str | None = None

    @classmethod
    def of(cls, name: str | None, agent: str | None) -> Wanted:
        """What somebody asks for. Raises InvalidSetting."""
        if name is not None and (
            not name or len(name) > LONGEST_NAME or has_control_characters(name)
        ):
            raise InvalidSetting(
                name="name",
                problem="a pattern of names such as 'train-*' has 1 to"
                f" {LONGEST_NAME} characters, no control characters; got {shown(name)}",
            )
        if agent is not None and not is_name(agent):
            problem = (
                f"{shown(agent)} is no name of an agent: letters, digits, _ and - only, at most 63"
            )
            raise InvalidSetting(name="agent", problem=problem)
        return cls(name, agent)

    def named(self, name: str) -> bool:
        """Whether a name is one of those that are asked for."""
        return self.name is None or fnmatchcase(name, self.name)

    def takes(self, data: SessionData) -> bool:
        """Whether a session is wanted."""
        return self.named(data.name) and (self.agent is None or runs_on(data, self.agent))

    def states(self, asked: Sequence[SessionState]) -> tuple[SessionState, ...]:
        """The states that have to be looked through, in the order of a life. Raises InvalidSetting.

        Whoever is told nothing of READY sessions on an agent would think that there might be some.
        """
        chosen = asked or tuple(SessionState)
        if self.agent is None:
            return tuple(state for state in SessionState if state in chosen)
        if others := [state for state in asked if state not in PLACED]:
            raise InvalidSetting(
                name="state",
                problem=f"on an agent are only sessions that are {', '.join(PLACED)}, not {', '.join(others)}",
            )
        return tuple(state for state in SessionState if state in PLACED and state in chosen)


EVERYTHING: Final = Wanted()


def runs_on(data: SessionData, agent: str) -> bool:
    """Whether an agent has a kernel of it now: ordered, at work, or being stopped."""
    return data.state in PLACED and any(
        kernel.agent == agent and kernel.state in KERNEL_LIVE for kernel in data.kernels
    )
