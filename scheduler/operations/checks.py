"""One line of the doctor: what was looked at, how it came out, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Findings named in one line.
NAMED = 5


class Level(StrEnum):
    """How a check came out."""

    OK = "OK"
    WARNING = "WARNING"  #: works, and somebody should know
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor."""

    name: str
    level: Level
    says: str

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done."""
        return self.level is not Level.PROBLEM


def found(name: str, good: str, problems: Sequence[str]) -> Check:
    """A check that names what it found, or says what is good."""
    if not problems:
        return Check(name, Level.OK, good)
    return Check(name, Level.PROBLEM, named(problems))


def named(problems: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(problems) - NAMED
    return "; ".join([*problems[:NAMED], *([f"and {more} more"] if more > 0 else [])])
