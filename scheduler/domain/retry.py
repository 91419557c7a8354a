"""When to try again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
