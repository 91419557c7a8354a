"""The command line: ``scheduler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scheduler.service.starting import importing, is_program

if TYPE_CHECKING:
    from scheduler.cli.app import cli

__all__ = ["cli", "main"]


def __getattr__(name: str) -> Any:
    """Import the commands when they are first used, see `main`."""
    if name != "cli":
        raise AttributeError(f"module 'scheduler.cli' has no attribute {name!r}")
    from scheduler.cli.app import cli  # noqa: PLC0415

    return cli


def main() -> None:
    """The program."""
    with importing():
        from scheduler.cli.app import run  # noqa: PLC0415
    is_program()
    run()
