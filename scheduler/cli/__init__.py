"""The command line: ``scheduler``."""

from scheduler.cli.app import cli, main

__all__ = ["cli", "main"]
