"""When to try again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many more attempts a session gets after a failure, and how long to wait before each."""

    retries: int = 0
    initial_ms: int = 1_000
    factor: float = 2.0
    maximum_ms: int = 60_000

    def delay_ms(self, attempt: int, spread: float) -> int:
        """The back-off after attempt number ``attempt`` (from 1).

        ``spread`` in [0, 1) takes up to a fifth off, so that sessions that failed together do not
        all come back in the same moment.
        """
        # Capped before the power: 2.0 ** 1100 is an OverflowError.
        full = self.initial_ms * self.factor ** min(attempt - 1, 64)
        return int(min(full, self.maximum_ms) * (1 - spread / 5))
