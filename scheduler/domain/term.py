"""Leadership as a dated value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One leadership of one scaling group: the fence of every leader write."""

    group: str
    number: int  #: max(stored + 1, Redis' time in ms)
    nonce: str  #: the value of the lock, 128 random bits
    holder: str  #: the replica's name, for people

    def __str__(self) -> str:
        return f"{self.group}/{self.number}"
