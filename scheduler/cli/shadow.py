"""``scheduler group shadow``, and the options by which a group gets a shadow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import complete_groups, plugin_option
from scheduler.cli.output import (
    JSON,
    moment,
    output_option,
    print_facts,
    print_json,
    print_table,
)
from scheduler.domain.errors import Refused
from scheduler.domain.group import PLUGIN_OPTS, shadowed

_PLACED = ("same", "elsewhere", "only_real", "only_shadow")


def shadow_options(command: Any) -> Any:
    """What ``set`` takes."""
    for option in reversed(
        [
            click.option(
                "--shadow-scheduler",
                metavar="NAME",
                help="Let this scheduler decide beside the one in force, and place nothing.",
            ),
            click.option(
                "--shadow-scheduler-opt",
                "shadow_scheduler_opts",
                type=plugin_option,
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the shadow's scheduler.",
            ),
            click.option(
                "--shadow-selector", metavar="NAME", help="The same with an agent selector."
            ),
            click.option(
                "--shadow-selector-opt",
                "shadow_selector_opts",
                type=plugin_option,
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the shadow's selector.",
            ),
            click.option(
                "--no-shadow", is_flag=True, help="Take the shadow away, and what was counted."
            ),
        ]
    ):
        command = option(command)
    return command


def shadow_changes(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of the shadow, as an option of the group; nothing where nothing was said."""
    named = {
        "scheduler": asked.get("shadow_scheduler"),
        "scheduler_opts": dict(asked.get("shadow_scheduler_opts", ())) or None,
        "agent_selector": asked.get("shadow_selector"),
        "agent_selector_opts": dict(asked.get("shadow_selector_opts", ())) or None,
    }
    said = {name: value for name, value in named.items() if value is not None}
    if asked.get("no_shadow"):
        if said:
            raise click.UsageError("--no-shadow takes the shadow away; name it in another call")
        return {"shadow": {}}
    return {"shadow": said} if said else {}


def policy_of(options: Mapping[str, Any]) -> str:
    """A scheduler and a selector with their options, in one line."""
    return ", ".join(
        " ".join([options[plugin], *(f"{k}={v}" for k, v in sorted(options[opts].items()))])
        for plugin, opts in PLUGIN_OPTS.items()
    )


@click.command("shadow")
@click.argument("name", shell_complete=complete_groups)
@output_option
@pass_app
def shadow_command(app: App, name: str, output: str) -> None:
    """Show how the shadow of a group decides differently from the policy in force.

    A sample of the cycles is compared, each on the picture on which the group was scheduled.
    """
    if shadowed(app.store.groups.get(name)) is None:
        why = f"group {name} has no shadow; `scheduler group set {name} --shadow-scheduler NAME` gives it one"
        raise Refused(why=why)
    record = app.store.groups.shadow(name)
    if output == JSON:
        print_json({"group": name, **(record or {})})
        return
    if record is None:
        click.echo(
            "The group's leader has not looked yet; `scheduler leader show` tells who leads.",
            err=True,
        )
        return
    counts = record["counts"]
    print_facts(
        {
            "group": name,
            "in force": policy_of(record["policies"]["real"]),
            "shadow": policy_of(record["policies"]["shadow"]),
            "stopped": record["broken"],
            "counted": f"{moment(record['since'])} to {moment(record['until'])}",
            "cycles": f"{counts.get('cycles', 0)}, alike {counts.get('cycles_alike', 0)},"
            f" in another order {counts.get('cycles_reordered', 0)}",
            "placed alike": _share(counts),
            "on other agents": counts.get("elsewhere", 0),
            "by the shadow only": counts.get("only_shadow", 0),
            "in force only": counts.get("only_real", 0),
            "lines only one refused": counts.get("lines_refused_by_one", 0),
        }
    )
    if record["samples"]:
        click.echo()
        print_table(
            ("WHEN", "SESSION", "IN FORCE", "SHADOW"),
            [
                (moment(s["at"]), s["session"], _agents(s["real"]), _agents(s["shadow"]))
                for s in reversed(record["samples"])
            ],
        )


def _share(counts: Mapping[str, int]) -> str:
    """Of all sessions that either placed."""
    same = counts.get("same", 0)
    every = sum(counts.get(kind, 0) for kind in _PLACED)
    return f"{same} of {every}" + (f" ({100 * same / every:.1f} %)" if every else "")


def _agents(agents: list[str]) -> str:
    return " ".join(agents) or "not then"
