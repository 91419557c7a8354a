"""``scheduler migrate``: the layout of the data, and bringing it up to date."""

from __future__ import annotations

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import say
from scheduler.cli.output import JSON, output_option, print_facts, print_json
from scheduler.operations.migrating import Plan, migrate, plan_migration


@click.command("migrate")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@output_option
@pass_app
def migrate_(app: App, *, only_plan: bool, output: str) -> None:
    """Bring the data of an older version up to date.

    A replica does the same when it starts. Stop all replicas and apps of the older version first;
    agents work on. It may be broken off and run again. Of data that is up to date it lists jobs anew
    that `scheduler doctor` found in the wrong place.
    """
    store = app.store_of_any_layout
    plan = plan_migration(store)
    if only_plan:
        _show(plan, output)
        return
    if plan.found is None:
        say("No replica has ever run in this namespace: there is nothing to bring up to date.")
        return
    migrate(store, _Progress())
    if output == JSON:
        print_json({"found": plan.found, "now": plan.target, "jobs_listed": plan.misplaced})
    else:
        click.echo(f"layout {plan.found} -> {plan.target}, {plan.misplaced} jobs listed")


class _Progress:
    """A line at each tenth of the way."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        """So many sessions of so many were looked at."""
        tenth = 10 * done // max(total, 1)
        if tenth != self._told:
            self._told = tenth
            say(f"{done} of {total} sessions looked at")


def _show(plan: Plan, output: str) -> None:
    if output == JSON:
        print_json(
            {
                "found": plan.found,
                "target": plan.target,
                "steps": [
                    {"from": step.found, "to": step.target, "does": step.says}
                    for step in plan.steps
                ],
                "sessions": plan.sessions,
                "jobs_to_list": plan.misplaced,
            }
        )
        return
    print_facts(
        {
            "layout": "none yet" if plan.found is None else plan.found,
            "needed": plan.target,
            "sessions": plan.sessions,
            "jobs to list": plan.misplaced,
        }
    )
    for step in plan.steps:
        click.echo(f"{step.found} -> {step.target}: {step.says}")
    if not plan.steps:
        click.echo("The layout is up to date.")
