"""``scheduler agent``: machines that run kernels; the agents contribute ``run`` and ``key``."""

from __future__ import annotations

from typing import Any

import click

from scheduler.cli.context import App, checked_agent, pass_app
from scheduler.cli.options import complete_agents, group_option
from scheduler.cli.output import (
    JSON,
    age,
    duration,
    moment,
    output_option,
    print_facts,
    print_json,
    print_table,
    slots_of,
)
from scheduler.domain.agent import AgentData, AgentStatus

_id = click.argument("agent_id", metavar="ID", shell_complete=complete_agents)


@click.group()
def agent() -> None:
    """Look at agents, drain them, remove them; run one."""


@agent.command("list")
@group_option(help="Only this scaling group.")
@output_option
@pass_app
def list_(app: App, group: str | None, output: str) -> None:
    """List agents."""
    from scheduler.operations.inspection import agent_details  # noqa: PLC0415 - not for `agent run`

    ids = [each for name in app.groups(group) for each in app.store.agents.ids(name)]
    beats = app.store.agents.beats(ids)
    found = [(data, agent_details(data, beats.get(data.id))) for data in app.store.agents.many(ids)]
    if output == JSON:
        print_json([details for _, details in found])
        return
    now, limit = app.audit.now_ms(), app.settings().not_ready_after
    print_table(
        ("AGENT", "GROUP", "STATUS", "FREE", "BEAT", "KERNELS", "LABELS", "ADMISSION"),
        [
            (
                data.id,
                data.group,
                _status(data, silent=now - (details["last_beat"] or 0) > limit),
                slots_of(data.free, data.capacity),
                age(details["last_beat"], now),
                len(details["running"]),
                _pairs(data.labels),
                _admission(details),
            )
            for data, details in found
        ],
        empty="There are no agents; `scheduler agent run` starts one.",
    )


@agent.command()
@_id
@output_option
@pass_app
def show(app: App, agent_id: str, output: str) -> None:
    """Show an agent and what is placed on it."""
    from scheduler.operations.inspection import agent_details, placed_on  # noqa: PLC0415

    data = app.store.agents.get(checked_agent(agent_id))
    details = agent_details(data, app.store.agents.beats([data.id]).get(data.id))
    placed = placed_on(app.store.sessions, app.audit, data)
    if output == JSON:
        print_json(details | {"sessions": [session.id for session in placed]})
        return
    now, limit = app.audit.now_ms(), app.settings().not_ready_after
    print_facts(
        {
            "id": data.id,
            "group": data.group,
            "status": _status(data, silent=now - (details["last_beat"] or 0) > limit),
            "admission": _admission(details),
            "spoilt fields": ", ".join(data.unreadable) or None,
            "free": slots_of(data.free, data.capacity),
            "models": _pairs(data.models),
            "labels": _pairs(data.labels),
            "architecture": data.architecture,
            "address": data.address,
            "boot": data.boot,
            "admitted": moment(data.admitted_at or None),
            "last beat": details["last_beat"] and f"{age(details['last_beat'], now)} ago",
            "lease": duration(data.lease_ms),
            "grace": duration(data.grace_ms),
            "kernels at most": data.max_kernels or None,
        }
    )
    if placed:
        click.echo()
        print_table(
            ("SESSION", "KERNEL", "STATE"),
            [(s.id, k.index, k.state) for s in placed for k in s.kernels if k.agent == data.id],
        )


@agent.command()
@_id
@pass_app
def drain(app: App, agent_id: str) -> None:
    """Give an agent nothing new; what runs there goes on."""
    app.store.agents.drain(checked_agent(agent_id))
    click.echo(f"{agent_id} gets nothing new")


@agent.command()
@_id
@pass_app
def undrain(app: App, agent_id: str) -> None:
    """Give a drained agent work again."""
    app.store.agents.undrain(checked_agent(agent_id))
    click.echo(f"{agent_id} gets work again")


@agent.command()
@_id
@click.option(
    "--force",
    is_flag=True,
    help="Even if it beats: its sessions may run twice until it stops them.",
)
@pass_app
def lost(app: App, agent_id: str, *, force: bool) -> None:
    """Say that an agent's machine is certainly dead.

    Its sessions are then run elsewhere without waiting for its lease. An agent that beats is
    refused. One that is cut off and lives runs them beside that until its lease is over: you vouch
    for it. Should it beat again, it is told to stop them, and gets nothing new before they are gone.
    """
    app.store.agents.declare_lost(checked_agent(agent_id), force=force)
    click.echo(f"{agent_id} counts as lost; the leader rescues its sessions")


@agent.command()
@_id
@pass_app
def remove(app: App, agent_id: str) -> None:
    """Forget an agent that is gone and holds nothing."""
    app.store.agents.remove(checked_agent(agent_id))
    click.echo(f"{agent_id} is removed")


def _status(data: AgentData, *, silent: bool) -> str:
    """Its status; one that is ready and has not beaten for too long is so for want of a leader that looks."""
    status = "silent" if silent and data.status is AgentStatus.READY else str(data.status)
    return f"{status}, drained" if data.drained else status


def _admission(details: dict[str, Any]) -> str:
    if details["candidate"]:
        return f"waits: {details['candidate']}"
    return f"refused: {details['refused']}" if details["refused"] else ""


def _pairs(labels: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())
