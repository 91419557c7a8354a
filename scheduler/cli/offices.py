"""``scheduler office``: tenants whose jobs have limits, timeouts and retries of their own."""

from __future__ import annotations

import click

from scheduler.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    homes={
        "create": "scheduler.cli.office_config:create",
        "delete": "scheduler.cli.office_config:delete",
        "execute": "scheduler.cli.office_jobs:execute",
        "list": "scheduler.cli.office_config:list_",
        "notify": "scheduler.cli.office_jobs:notify",
        "process": "scheduler.cli.office_time:process",
        "set": "scheduler.cli.office_config:set_",
        "show": "scheduler.cli.office_config:show",
        "stats": "scheduler.cli.office_jobs:stats",
        "submit": "scheduler.cli.office_jobs:submit",
        "timeouts": "scheduler.cli.office_time:timeouts",
    },
)
def office() -> None:
    """Look at offices: what they allow their jobs, and their jobs now."""
