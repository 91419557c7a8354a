"""The command line: ``scheduler``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from scheduler.service.starting import is_program, without_gc

if TYPE_CHECKING:
    from scheduler.cli.app import cli

__all__ = ["cli", "main"]

_INTERRUPTED = 130  #: as scheduler.cli.errors.Exit has it, which is not imported yet


def __getattr__(name: str) -> Any:
    """Import the commands when they are first used, see `main`."""
    if name != "cli":
        raise AttributeError(f"module 'scheduler.cli' has no attribute {name!r}")
    from scheduler.cli.app import cli  # noqa: PLC0415

    return cli


def main() -> None:
    """The program. Ctrl-C ends it with a word also while it imports, which takes half a second."""
    try:
        with without_gc():
            from scheduler.cli.app import run  # noqa: PLC0415
        is_program()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(_INTERRUPTED)
    run()
