"""``scheduler callback``: outcomes of sessions that are posted where they asked for it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import complete_sessions
from scheduler.cli.output import JSON, moment, output_option, print_json, print_table
from scheduler.domain.callback import Callback, Lane, check_callback
from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.redaction import origin, shown_url
from scheduler.protocol.signing import callback_key

#: Parked callbacks that are looked through.
_MOST = 10_000


@click.group()
def callback() -> None:
    """Post how sessions ended to where they asked for it (session submit --callback)."""


@callback.command("list")
@output_option
@pass_app
def list_(app: App, output: str) -> None:
    """List hosts that callbacks wait for, and callbacks that were given up."""
    lanes, parked = app.callbacks.lanes(), app.callbacks.parked(_MOST)
    if output == JSON:
        print_json({"hosts": list(map(_lane, lanes)), "parked": list(map(_parked, parked))})
        return
    print_table(
        ("HOST", "WAITING", "FAILURES", "NEXT", "SAYS"),
        [
            (lane.name, lane.waiting, lane.failures, moment(lane.due_at), lane.error)
            for lane in lanes
        ],
        empty="No callbacks wait.",
    )
    if parked:
        click.echo()
        print_table(
            ("PARKED", "SESSION", "ADDRESS", "TRIED", "SAYS"),
            [
                (moment(c.parked_at), c.session, shown_url(c.url), c.failures, c.error)
                for c in parked
            ],
        )


@callback.command()
@click.argument("sessions", metavar="[ID]...", nargs=-1, shell_complete=complete_sessions)
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@pass_app
def resume(app: App, sessions: Sequence[str], *, everything: bool) -> None:
    """Try callbacks again that were given up, of these sessions or all."""
    if everything == bool(sessions):
        raise click.UsageError("Give ids of sessions, or --all.")
    parked = app.callbacks.parked(_MOST)
    wanted = [c for c in parked if everything or c.session in sessions]
    resumed = sum(app.callbacks.resume(c.entry) for c in wanted)
    click.echo(f"{resumed} resumed")


@callback.command()
@click.argument("url")
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The cluster's secret, instead of SCHEDULER_SECRET.",
)
@pass_app
def secret(app: App, url: str, secret_file: Path | None) -> None:
    """Print the secret by which a host verifies its callbacks (Standard Webhooks); URL as https://ci.example.org."""
    try:
        check_callback(url)
    except InvalidSpec as error:
        # Nothing is submitted here.
        problem = str(error.facts["problem"]).removeprefix("callback: ")
        raise InvalidSetting(name="URL", problem=problem) from error
    if not url:
        raise InvalidSetting(name="URL", problem="name a host, as https://ci.example.org")
    settings = app.settings(secret_file=secret_file)
    key = callback_key(settings.cluster_secret(), settings.namespace, origin(url))
    click.echo(f"whsec_{base64.b64encode(bytes.fromhex(key)).decode()}")


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "host": lane.name,
        "waiting": lane.waiting,
        "failures": lane.failures,
        "next_at": lane.due_at,
        "error": lane.error,
    }


def _parked(one: Callback) -> dict[str, Any]:
    return {
        "session": one.session,
        "url": shown_url(one.url),
        "state": one.state,
        "ended_at": one.ended_at,
        "failures": one.failures,
        "error": one.error,
        "parked_at": one.parked_at,
        "chances": one.chances,
    }
