"""``scheduler office``: tenants whose jobs have limits, timeouts and retries of their own."""

from __future__ import annotations

import click

from scheduler.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    homes={
        "process": "scheduler.cli.office_time:process",
        "timeouts": "scheduler.cli.office_time:timeouts",
    },
)
def office() -> None:
    """Look at offices: their timeouts, and their jobs now."""
