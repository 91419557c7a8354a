"""The answer of the rules about a session: admit, or no, by whom, why, and what could change it."""

from __future__ import annotations

from dataclasses import dataclass

#: By whom a session is refused where the plugin itself is what is wrong.
SCHEDULER, SELECTOR, MODE = "scheduler", "selector", "cluster-mode"


@dataclass(frozen=True, slots=True)
class Cure:
    """An event that could turn a refusal around, as the scheduler hears it and as a person reads it."""

    event: str  #: e.g. ``scope:keypair:k1``, ``agents``, ``session:<id>``, ``time``
    says: str  #: e.g. "a session of keypair k1 ends"


@dataclass(frozen=True, slots=True)
class Excess:
    """A number that a session would take over its limit, in the units of what is counted."""

    of: str  #: whose, and of what: "keypair k1 sessions", "user alice cpu"
    used: int
    requested: int
    limit: int
    slot: str = ""  #: the family whose units these are: cpu and devices in thousandths, mem in MiB; "": sessions

    @property
    def over(self) -> int:
        """By how much the limit would be exceeded."""
        return self.used + self.requested - self.limit


@dataclass(frozen=True, slots=True)
class Failure:
    """One rule's no."""

    by: str  #: the rule's name
    reason: str
    cures: tuple[Cure, ...] = ()
    excesses: tuple[Excess, ...] = ()  #: the numbers of the reason, where it counts something


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all rules said of one session: nothing is admission."""

    failures: tuple[Failure, ...] = ()

    @classmethod
    def blocked(cls, by: str, reason: str, *cures: Cure) -> Verdict:
        """No, for one reason, until one of these."""
        return cls((Failure(by, reason, cures),))

    @property
    def admits(self) -> bool:
        """Whether nobody refused it."""
        return not self.failures

    @property
    def by(self) -> str:
        """Who refused it, as a list for people."""
        return ", ".join(failure.by for failure in self.failures)

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(failure.reason for failure in self.failures)

    @property
    def cures(self) -> tuple[Cure, ...]:
        """The cures of all failures."""
        return tuple(cure for failure in self.failures for cure in failure.cures)


ADMIT = Verdict()
