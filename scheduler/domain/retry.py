"""When to try again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from scheduler.domain.checks import known, mapping, number, whole, wrong
from scheduler.domain.ids import shown

#: A hundred years, as for any duration.
_LONGEST_MS: Final = 100 * 365 * 86_400_000
#: The factor of a back-off beyond which a wait reaches its maximum at once.
_LARGEST_FACTOR: Final = 1_000


class Growth(StrEnum):
    """How the wait grows from one attempt to the next."""

    EXPONENTIAL = "exponential"  #: times the factor
    LINEAR = "linear"  #: by the first wait
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait before each further attempt. Times in ms."""

    kind: Growth = Growth.EXPONENTIAL
    initial_ms: int = 1_000
    factor: float = 2.0  #: of exponential growth
    maximum_ms: int = 60_000
    jitter: float = 0.2  #: the part of a wait that chance may take off, 0 to 1

    def delay_ms(self, attempt: int, spread: float) -> int:
        """The back-off after attempt number ``attempt`` (from 1).

        ``spread`` in [0, 1) takes up to the jitter off, so that sessions that failed together do not
        all come back in the same moment.
        """
        match self.kind:
            case Growth.EXPONENTIAL:
                # Capped before the power: 2.0 ** 1100 is an OverflowError.
                full = self.initial_ms * self.factor ** min(attempt - 1, 64)
            case Growth.LINEAR:
                full = self.initial_ms * attempt
            case Growth.CONSTANT:
                full = self.initial_ms
        return int(min(full, self.maximum_ms) * (1 - spread * self.jitter))

    def says(self) -> str:
        """The policy for people."""
        grows = f" x{self.factor:g}" if self.kind is Growth.EXPONENTIAL else ""
        most = "" if self.kind is Growth.CONSTANT else f" to {self.maximum_ms / 1000:g} s"
        return f"{self.kind} {self.initial_ms / 1000:g} s{grows}{most}"

    def as_json(self) -> dict[str, Any]:
        """The policy as people and Redis see it; `policy_from` reads it back."""
        return asdict(self) | {"kind": str(self.kind)}


def policy_from(found: object, base: RetryPolicy) -> RetryPolicy:
    """A policy from JSON; what is not named stays as in ``base``. Raises InvalidSetting."""
    values = base.as_json()
    known("backoff", mapping("backoff", found), values)
    values |= mapping("backoff", found)
    kind = values["kind"]
    if kind not in list(Growth):
        raise wrong("backoff.kind", f"{shown(kind)} is unknown; there are {', '.join(Growth)}")
    policy = RetryPolicy(
        kind=Growth(kind),
        initial_ms=whole("backoff.initial_ms", values["initial_ms"], 0, _LONGEST_MS),
        factor=number("backoff.factor", values["factor"], 1, _LARGEST_FACTOR),
        maximum_ms=whole("backoff.maximum_ms", values["maximum_ms"], 0, _LONGEST_MS),
        jitter=number("backoff.jitter", values["jitter"], 0, 1),
    )
    if policy.maximum_ms < policy.initial_ms:
        raise wrong("backoff.maximum_ms", f"it must be at least initial_ms, {policy.initial_ms}")
    return policy
