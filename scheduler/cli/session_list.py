"""``scheduler session list``: all sessions, or those of a name or an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import say
from scheduler.cli.options import (
    agent_option,
    complete_states,
    group_option,
    name_option,
    session_state,
    wanted_of,
)
from scheduler.cli.output import JSON, age, output_option, print_json, print_table
from scheduler.domain.session import SessionData
from scheduler.domain.states import SessionState
from scheduler.domain.wanted import EVERYTHING
from scheduler.operations.finding import Look, find_sessions
from scheduler.operations.inspection import list_sessions

#: Characters that a list shows of what a session runs.
LISTED = 40


@click.command()
@click.option(
    "--state",
    "states",
    type=session_state,
    metavar="STATE",
    shell_complete=complete_states,
    multiple=True,
    help="Only this state; may be repeated.",
)
@group_option(help="Only this scaling group.")
@name_option
@agent_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--cursor", metavar="CURSOR", help="Go on where a page by --name or --agent ended.")
@output_option
@pass_app
def list_(app: App, /, group: str | None, **asked: Any) -> None:
    """List sessions: those that live, then the newest that ended.

    Newest first; with --state READY alone, by priority and submission. By --name and --agent they come
    page by page, state by state.
    """
    groups, states, limit = app.groups(group), asked["states"], asked["limit"]
    wanted = wanted_of(app, asked["name"], asked["agent"])
    if wanted != EVERYTHING:
        page = find_sessions(app.store, Look(wanted, groups, states, asked["cursor"], limit))
        _print(app, page.items, asked["output"])
        if page.cursor:
            say(f"Sessions looked at: {page.looked_at}; more may follow: --cursor {page.cursor}")
        return
    if asked["cursor"]:
        raise click.UsageError("--cursor goes on with a page by --name or --agent; give that, too")
    states = states or tuple(SessionState)
    found = list_sessions(app.store.sessions, groups, states, limit)
    _print(app, found, asked["output"])
    if asked["output"] == JSON:
        return
    counts = [app.store.sessions.counts(name) for name in groups]
    there = sum(count[state] for count in counts for state in states)
    if there > len(found):
        say(f"{len(found)} of {there} are shown; --limit shows more.")


def _print(app: App, found: Sequence[SessionData], output: str) -> None:
    if output == JSON:
        print_json([data.summary() for data in found])
        return
    now = app.audit.now_ms()
    print_table(
        ("ID", "NAME", "STATE", "GROUP", "PRIORITY", "AGE", "AGENTS", "RUNS", "REASON"),
        [_row(data, now) for data in found],
        empty="There are no such sessions.",
        cut=("REASON",),
    )


def _row(data: SessionData, now_ms: int) -> tuple[object, ...]:
    facts = data.summary()
    waited = age(data.submitted_at, now_ms)
    agents = " ".join(facts["agents"])
    work = data.work if len(data.work) <= LISTED else f"{data.work[: LISTED - 3]}..."
    return (
        *(data.id, data.name, data.state, data.group, data.priority, waited, agents, work),
        data.why,
    )
