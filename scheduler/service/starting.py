"""What makes a process start, and end, sooner."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """Look for no garbage while nothing but what stays is made: modules, or all that a leader knows.

    So many objects are made then that Python looked a hundred times: a quarter of a start, or of a load.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def is_program() -> None:
    """What was imported by now stays until the process ends, which is no time to look for garbage either.

    For the process that is ours alone: an app that imports us decides for itself.
    """
    gc.freeze()
    atexit.register(gc.freeze)
