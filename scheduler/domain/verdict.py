"""The answer of a rule: admit, or no, by whom, why, and what could change it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cure:
    """An event that could turn a refusal around, as the scheduler hears it and as a person reads it."""

    event: str  #: e.g. ``scope:keypair:k1``, ``agents``, ``session:<id>``, ``time``
    says: str  #: e.g. "a session of keypair k1 ends"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's answer about one session."""

    admits: bool
    by: str = ""
    reason: str = ""
    cures: tuple[Cure, ...] = field(default=())

    @classmethod
    def blocked(cls, by: str, reason: str, *cures: Cure) -> Verdict:
        """No, for this reason, until one of these."""
        return cls(admits=False, by=by, reason=reason, cures=cures)


ADMIT = Verdict(admits=True)
