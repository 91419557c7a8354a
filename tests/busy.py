"""How much a machine is asked to do at once."""

from __future__ import annotations

import os


def busy() -> float:
    """How many share a core: a bound in seconds is for a machine that has one for each."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
