"""``scheduler leader``: who leads a scaling group."""

from __future__ import annotations

from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import group_option
from scheduler.cli.output import JSON, age, output_option, print_json, print_table
from scheduler.domain.group import DEFAULT_GROUP


@click.group()
def leader() -> None:
    """Look at leaders, and ask one to hand over."""


@leader.command()
@group_option(help="Only this scaling group.")
@output_option
@pass_app
def show(app: App, group: str | None, output: str) -> None:
    """Show who leads, and since when; and when each of its chores was done last, and how it went."""
    found = [_leader(app, name) for name in app.groups(group)]
    if output == JSON:
        print_json(found)
        return
    now = app.audit.now_ms()
    print_table(
        ("GROUP", "LEADER", "TERM", "FOR", "LATE WRITES"),
        [
            (
                facts["group"],
                facts["holder"] or "nobody",
                facts["term"],
                age(facts["elected_at"], now) if facts["leads"] else "",
                facts["late_writes"],
            )
            for facts in found
        ],
        empty="There are no scaling groups; a replica creates its own.",
    )
    chores = [(facts["group"], run) for facts in found for run in facts["chores"]]
    if chores:
        click.echo()
        print_table(
            ("CHORE", "GROUP", "LAST", "TOOK", "BY", "ENDED"),
            [
                (
                    run["chore"],
                    name,
                    f"{age(run['at_ms'], now)} ago",
                    f"{run['took_ms']} ms",
                    run["by"],
                    run["says"] if run["well"] else f"failed: {run['says']}",
                )
                for name, run in chores
            ],
        )


def _leader(app: App, group: str) -> dict[str, Any]:
    facts = app.store.leadership.show(group)
    leads = bool(facts["lock"]) and facts["lock"] == facts.get("nonce")
    return {
        "group": group,
        "leads": leads,
        "holder": facts.get("holder", "") if leads else "",
        "term": int(facts["term"]) if "term" in facts else None,
        "elected_at": int(facts["elected_at"]) if "elected_at" in facts else None,
        "late_writes": int(facts.get("late_writes", 0)),
        "reports_read_up_to": facts.get("cursor", ""),
        "chores": [run.as_json() for run in app.store.chores.last(group)],
    }


@leader.command()
@group_option(default=DEFAULT_GROUP, show_default=True, help="Whose leader.")
@pass_app
def resign(app: App, group: str) -> None:
    """Ask a leader to hand over to another replica; work goes on."""
    app.groups(group)
    term, holder = app.store.leadership.ask_resign(group)
    click.echo(f"{holder} was asked to end term {term}")
