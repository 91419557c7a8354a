"""``scheduler group``: pools of agents and how they schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import (
    NONE,
    complete_groups,
    milliseconds,
    milliseconds_or_none,
    plugin_option,
)
from scheduler.cli.output import (
    JSON,
    duration,
    moment,
    output_option,
    print_facts,
    print_json,
    print_table,
)
from scheduler.cli.shadow import policy_of, shadow_changes, shadow_command, shadow_options
from scheduler.domain.group import Backfill, GroupRevision, ScalingGroupOpts, shadowed
from scheduler.domain.slots import render
from scheduler.domain.states import FINAL, PLACED, WAITING, SessionState
from scheduler.domain.tally import Tally
from scheduler.operations.policy import (
    change_group,
    create_group,
    delete_group,
    roll_back_group,
)
from scheduler.operations.shares import owner_shares
from scheduler.operations.standstill import pool_of

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
        (
            *("GROUP", "STATE", "AGENTS", "DRAINED", "WAITING", "PLACED", "ENDED"),
            *("SCHEDULER", "SELECTOR", "REASON"),
        ),
        [tuple(_listed(summary).values()) for summary in found],
        empty="There are no scaling groups; `scheduler group create NAME` makes one.",
    )


def _listed(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary as the table has it: why it is paused is last, as it may be long."""
    group, paused, rest = summary["group"], summary["paused"], dict(summary)
    del rest["group"], rest["paused"]
    state = "paused" if paused else "open"
    return {"group": group, "state": state, **rest, "reason": paused}


def _summary(app: App, name: str) -> dict[str, Any]:
    found, counts = app.store.groups.read(name), app.store.sessions.counts(name)
    options = found.options

    def total(states: tuple[SessionState, ...]) -> int:
        return sum(counts[state] for state in states)

    return {
        "group": name,
        "paused": found.paused,
        "agents": len(app.store.agents.ids(name)),
        "drained": pool_of(app.audit.standings(name)).drained,
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
    """Show a scaling group's options, what its cycles did, and how many sessions are in each state."""
    found, counts = app.store.groups.read(name), app.store.sessions.counts(name)
    tally = app.store.groups.tally(name)
    options = found.options
    if output == JSON:
        sessions = {str(state): count for state, count in counts.items()}
        standing = {"revision": found.revision, "paused": found.paused}
        print_json(
            {
                "group": name,
                **standing,
                **asdict(options),
                "sessions": sessions,
                "cycles": asdict(tally),
            }
        )
        return
    pending = options.pending_timeout_ms
    print_facts(
        {
            "group": name,
            "revision": found.revision,
            "paused": found.paused or "no",
            "scheduler": _with_options(options.scheduler, options.scheduler_opts),
            "selector": _with_options(options.agent_selector, options.agent_selector_opts),
            "backfill": options.backfill,
            "grows": "yes" if options.grows else "no",
            "pending timeout": "none" if pending is None else duration(pending),
            "barrier timeout": duration(options.barrier_timeout_ms),
            "claim timeout": duration(options.claim_timeout_ms),
            "rescues at most": options.max_rescues,
            "shadow": policy_of(asdict(shadow)) if (shadow := shadowed(options)) else "",
            **(_cycles(tally) if tally.cycles else {}),
        }
    )
    click.echo()
    print_table(("STATE", "SESSIONS"), list(counts.items()))


@group.command()
@_name
@output_option
@pass_app
def shares(app: App, name: str, output: str) -> None:
    """List who holds slots of a scaling group or has used it, in the order its scheduler lets them go.

    Under fair-share the days it looks back count. Who is not listed holds nothing and has used nothing, and
    goes before all who have.
    """
    found = owner_shares(app.store, app.audit, name)
    if output == JSON:
        print_json([asdict(row) for row in found])
        return
    facts = list(dict.fromkeys(fact for row in found for fact in row.facts))
    print_table(
        ("OWNER", "HOLDS", "DOMINANT SHARE", *map(str.upper, facts)),
        [
            (
                row.owner or "-",
                render({family: held for family, held in row.held.items() if held}) or "-",
                f"{row.dominant_share:.4f}",
                *(f"{row.facts[fact]:.4g}" for fact in facts),
            )
            for row in found
        ],
        empty=f"Nobody holds anything of group {name}.",
    )


def _cycles(tally: Tally) -> dict[str, object]:
    """What the group's cycles did, for people."""
    took = (tally.ended_at - tally.started_at) or "under 1"
    return {
        "last cycle": f"{moment(tally.started_at)}, {took} ms, after {tally.trigger}:"
        f" {tally.last_placed} placed, {tally.last_refused} refused (term {tally.term})",
        "cycles": f"{tally.cycles}, after {_counted(tally.triggers)}",
        "cycle time": f"p50 {tally.p50_us / 1000:.1f} ms, p99 {tally.p99_us / 1000:.1f} ms,"
        f" all {tally.busy_us / 1e6:.1f} s",
        "placed": tally.placed,
        "refused": f"{tally.refused}" + (f" by {_counted(tally.causes)}" if tally.causes else ""),
    }


def _counted(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in most_first)


def _with_options(name: str, options: dict[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in sorted(options.items()))])


def _policy_options(command: Any) -> Any:
    """What ``create`` and ``set`` take; nothing that was not said changes."""
    for option in reversed(
        [
            click.option(
                "--scheduler", metavar="NAME", help="In which order waiting sessions are tried."
            ),
            click.option(
                "--scheduler-opt",
                "scheduler_opts",
                type=plugin_option,
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the scheduler; the value null takes it back.",
            ),
            click.option("--selector", metavar="NAME", help="Which agent gets a kernel."),
            click.option(
                "--selector-opt",
                "selector_opts",
                type=plugin_option,
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the selector; the value null takes it back.",
            ),
            click.option(
                "--backfill",
                type=click.Choice([kind.value for kind in Backfill]),
                help="To whom room is promised that is not free yet: to the first blocked session,"
                " to the first of each kind of request, or to nobody.",
            ),
            click.option(
                "--grows/--no-grows",
                default=None,
                help="Whether agents may be added from outside: then what fits none of today's waits.",
            ),
            click.option(
                "--pending-timeout",
                type=milliseconds_or_none,
                metavar="DURATION|none",
                help="Cancel sessions that waited this long, as 30s or 1h; a bare number is seconds.",
            ),
            click.option(
                "--barrier-timeout",
                type=milliseconds,
                metavar="DURATION",
                help="How long the kernels of a session may take to be up.",
            ),
            click.option(
                "--claim-timeout",
                type=milliseconds,
                metavar="DURATION",
                help="An order that no agent took by then goes elsewhere.",
            ),
            click.option(
                "--max-rescues",
                type=click.IntRange(0, 1000),
                metavar="N",
                help="A session that lost its agent more often than this fails.",
            ),
        ]
    ):
        command = option(command)
    return command


@group.command()
@_name
@_policy_options
@pass_app
def create(app: App, /, name: str, **asked: Any) -> None:
    """Create a scaling group. A replica leads it when it is started with --group NAME."""
    create_group(app.store.groups, name, _changes(asked))
    click.echo(f"group {name} created")


@group.command("set")
@_name
@_policy_options
@shadow_options
@click.option(
    "--revision",
    type=click.IntRange(1),
    metavar="N",
    help="Change nothing unless the group is at this revision.",
)
@pass_app
def set_(app: App, /, name: str, revision: int | None, **asked: Any) -> None:
    """Change options of a scaling group; its leader goes on with them at once."""
    now, new = change_group(
        app.store.groups,
        name,
        _changes(asked),
        expected=revision,
        repeats=app.settings().repeat_policy,
    )
    click.echo(f"group {name} {'changed' if new else 'unchanged'}, revision {now}")


def _changes(asked: dict[str, Any]) -> dict[str, Any]:
    """The options that were said, by their names."""
    named = {
        "scheduler": asked["scheduler"],
        "scheduler_opts": dict(asked["scheduler_opts"]) or None,
        "agent_selector": asked["selector"],
        "agent_selector_opts": dict(asked["selector_opts"]) or None,
        "backfill": asked["backfill"],
        "grows": asked["grows"],
        "barrier_timeout_ms": asked["barrier_timeout"],
        "claim_timeout_ms": asked["claim_timeout"],
        "max_rescues": asked["max_rescues"],
    }
    changes = {name: value for name, value in named.items() if value is not None}
    if (timeout := asked["pending_timeout"]) is not None:
        changes["pending_timeout_ms"] = None if timeout == NONE else timeout
    return changes | shadow_changes(asked)


group.add_command(shadow_command)


@group.command()
@_name
@output_option
@pass_app
def history(app: App, name: str, output: str) -> None:
    """List the revisions of a scaling group's options, newest first, and what each changed."""
    found = app.store.groups.history(name)
    if output == JSON:
        print_json([asdict(revision) for revision in found])
        return
    before = [*found[1:], None]
    print_table(
        ("REVISION", "WHEN", "HOW", "CHANGED"),
        [
            (then.revision, moment(then.at), then.says, _difference(earlier, then))
            for then, earlier in zip(found, before, strict=True)
        ],
    )


def _difference(earlier: GroupRevision | None, then: GroupRevision) -> str:
    old = asdict(earlier.options) if earlier else asdict(ScalingGroupOpts())
    changed = {key: value for key, value in asdict(then.options).items() if old[key] != value}
    return ", ".join(f"{key}: {old[key]} > {value}" for key, value in changed.items()) or "-"


@group.command()
@_name
@click.argument("revision", type=click.IntRange(1))
@pass_app
def rollback(app: App, name: str, revision: int) -> None:
    """Set all options back to what they were at a revision; that is a revision, too."""
    now = roll_back_group(app.store.groups, name, revision)
    click.echo(f"group {name} is back to revision {revision}, as revision {now}")


@group.command()
@_name
@click.option("--why", default="by an operator", show_default=True, help="What sessions are told.")
@pass_app
def pause(app: App, name: str, why: str) -> None:
    """Place nothing new; what runs goes on, what is submitted waits."""
    click.echo(f"group {name} {_said(app.store.groups.pause(name, why), 'was paused already')}")


@group.command()
@_name
@pass_app
def resume(app: App, name: str) -> None:
    """Place again after a pause."""
    click.echo(f"group {name} {_said(app.store.groups.resume(name), 'was not paused')}")


def _said(word: str, already: str) -> str:
    return already if word == "already" else word


@group.command()
@_name
@click.option(
    "--forget",
    is_flag=True,
    help="Forget its ended sessions first, with their logs, results and idempotency keys.",
)
@pass_app
def delete(app: App, name: str, *, forget: bool) -> None:
    """Delete a scaling group that has no agents, no sessions and no leader."""
    delete_group(app.store, name, forget=forget)
    click.echo(f"group {name} deleted")
