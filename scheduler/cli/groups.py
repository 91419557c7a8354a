"""``scheduler group``: pools of agents and how they schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import NONE, complete_groups, milliseconds_or_none
from scheduler.cli.output import JSON, duration, output_option, print_facts, print_json, print_table
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.states import FINAL, PLACED, WAITING, SessionState
from scheduler.plugins.loading import load_agent_selector, load_scheduler

_name = click.argument("name", shell_complete=complete_groups)


@click.group()
def group() -> None:
    """Look at scaling groups, and change how they schedule."""


@group.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List scaling groups."""
    found = [_summary(app, name) for name in app.store.groups.names()]
    if output == JSON:
        print_json(found)
        return
    print_table(
        ("GROUP", "AGENTS", "WAITING", "PLACED", "ENDED", "SCHEDULER", "SELECTOR"),
        [tuple(summary.values()) for summary in found],
        empty="There are no scaling groups; `scheduler group set NAME` creates one.",
    )


def _summary(app: App, name: str) -> dict[str, Any]:
    options, counts = app.store.groups.get(name), app.store.sessions.counts(name)

    def total(states: tuple[SessionState, ...]) -> int:
        return sum(counts[state] for state in states)

    return {
        "group": name,
        "agents": len(app.store.agents.ids(name)),
        "waiting": total(WAITING),
        "placed": total(PLACED),
        "ended": total(FINAL),
        "scheduler": options.scheduler,
        "selector": options.agent_selector,
    }


@group.command()
@_name
@output_option
@pass_app
def show(app: App, name: str, output: str) -> None:
    """Show a scaling group's options and how many sessions are in each state."""
    app.groups(name)
    options, counts = app.store.groups.get(name), app.store.sessions.counts(name)
    if output == JSON:
        sessions = {str(state): count for state, count in counts.items()}
        print_json({"group": name, **asdict(options), "sessions": sessions})
        return
    pending = options.pending_timeout_ms
    print_facts(
        {
            "group": name,
            "scheduler": options.scheduler,
            "selector": options.agent_selector,
            "grows": "yes" if options.grows else "no",
            "pending timeout": "none" if pending is None else duration(pending),
            "barrier timeout": duration(options.barrier_timeout_ms),
            "claim timeout": duration(options.claim_timeout_ms),
            "rescues at most": options.max_rescues,
        }
    )
    click.echo()
    print_table(("STATE", "SESSIONS"), list(counts.items()))


@group.command("set")
@_name
@click.option("--scheduler", metavar="NAME", help="In which order waiting sessions are tried.")
@click.option("--selector", metavar="NAME", help="Which agent gets a kernel.")
@click.option(
    "--grows/--no-grows",
    default=None,
    help="Whether agents may be added from outside: then what fits none of today's waits.",
)
@click.option(
    "--pending-timeout",
    type=milliseconds_or_none,
    metavar="DURATION|none",
    help="Cancel sessions that waited this long.",
)
@pass_app
def set_(app: App, /, name: str, **asked: Any) -> None:
    """Create a scaling group, or change the options named."""
    store = app.store
    now = store.groups.get(name) if name in store.groups.names() else ScalingGroupOpts()
    changes: dict[str, Any] = {}
    if asked["scheduler"] is not None:
        load_scheduler(asked["scheduler"], now, {})
        changes["scheduler"] = asked["scheduler"]
    if asked["selector"] is not None:
        load_agent_selector(asked["selector"], now, {})
        changes["agent_selector"] = asked["selector"]
    if asked["grows"] is not None:
        changes["grows"] = asked["grows"]
    if (timeout := asked["pending_timeout"]) is not None:
        changes["pending_timeout_ms"] = None if timeout == NONE else timeout
    click.echo(f"group {name} {store.groups.configure(name, changes)}")
