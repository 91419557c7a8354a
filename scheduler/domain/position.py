"""The position of a waiting session, and what that number is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

#: So many sessions are told their position in the order in which they are tried; the others are behind them.
TOLD: Final = 1_000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a READY session stands in its group."""

    number: int  #: from 1
    of: int  #: READY sessions of the group
    #: Whose order it is: the group's scheduler, as its leader went through it. "": by priority and submission.
    scheduler: str = ""
    as_of: int | None = None  #: when the leader did, ms
    behind: int = 0  #: its leader told so many, and it was not among them; 0: nobody knows

    @property
    def says(self) -> str:
        """In words."""
        place = f"{nth(self.number)} of {self.of:,}"
        if self.scheduler:
            return f"{place} in the order in which scheduler {self.scheduler} tries them"
        if self.behind:
            return f"{place} by priority and submission, behind the first {self.behind:,} that are tried"
        return f"{place} by priority and submission; the scheduler may try them in another order"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"says": self.says}


def nth(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th ..."""
    last, two = number % 10, number % 100
    end = "th" if two in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    return f"{number:,}{end}"
