"""A Redis for one measurement, with the settings the product asks for; gone when it is over."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scheduler.store.embedded import EmbeddedRedis

#: A rewrite of the append-only file begins at 64 MB and takes one of two cores for seconds: it would
#: fall into one measurement and not into another.
_OPTIONS: Final = {"auto-aof-rewrite-percentage": "0"}


@contextmanager
def own_redis() -> Iterator[EmbeddedRedis]:
    """A server on a free port of the loopback interface: append-only file, no eviction."""
    with (
        tempfile.TemporaryDirectory(prefix="scheduler-bench-") as folder,
        EmbeddedRedis(Path(folder), options=_OPTIONS) as server,
    ):
        yield server
