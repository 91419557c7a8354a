"""What sessions and jobs do here."""

from __future__ import annotations


def noop() -> None:
    """Nothing, on every side that is compared."""
