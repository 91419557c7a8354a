"""``scheduler session timeout``: another deadline for a session, also while it runs."""

from __future__ import annotations

from typing import Final

import click

from scheduler.cli.context import App, checked_session, pass_app
from scheduler.cli.options import complete_sessions
from scheduler.operations.timeouts import change_timeout

_AS_ASKED: Final = "default"


@click.command("timeout")
@click.argument("session", metavar="ID", shell_complete=complete_sessions)
@click.argument("timeout", metavar="DURATION")
@pass_app
def timeout_(app: App, session: str, timeout: str) -> None:
    """Let a session run for DURATION, counted from its start; `default` is what it asked for.

    The deadline of one that runs moves at once: longer, or shorter, or over.
    """
    checked = checked_session(session)
    change_timeout(app.store, checked, None if timeout == _AS_ASKED else timeout)
    click.echo(
        f"{checked} may run for {timeout if timeout != _AS_ASKED else 'as long as it asked'}"
    )
