"""``scheduler doctor``."""

from __future__ import annotations

import click

from scheduler.bootstrap import Store
from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import Exit
from scheduler.cli.output import JSON, output_option, print_json
from scheduler.domain.errors import ScriptError
from scheduler.operations.checks import Check
from scheduler.operations.doctor import examine


@click.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Put right what scopes count, and take off the lists what has no record.",
)
@output_option
@pass_app
def doctor(app: App, *, repair: bool, output: str) -> None:
    """Check Redis, leaders and agents, and recount everything that is counted.

    Reads only, unless --repair is given. Exits 0 when nothing needs to be done (warnings are
    allowed), else 1. A check that meets something moving looks again, and tells only what stays wrong.
    """
    checks: list[Check] = []
    silent_after_ms, store = app.settings().not_ready_after, _store(app)
    for check in examine(store, app.audit, silent_after_ms=silent_after_ms, repair=repair):
        checks.append(check)
        if output != JSON:
            click.echo(f"{check.level:<8} {check.name}: {check.says}")
    well = all(check.ok for check in checks)
    if output == JSON:
        lines = [{"name": c.name, "ok": c.ok, "level": c.level, "says": c.says} for c in checks]
        print_json({"ok": well, "checks": lines})
    click.get_current_context().exit(Exit.DONE if well else Exit.FAILED)


def _store(app: App) -> Store:
    """The store, also where nobody can read of which layout it is."""
    try:
        return app.store
    except (ScriptError, ValueError):
        return app.store_of_any_layout
