"""``scheduler events``: what happens, in order."""

from __future__ import annotations

from typing import Any

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.errors import one_line, say
from scheduler.cli.output import JSON, moment, output_option, print_json, print_json_line
from scheduler.domain.events import EventData
from scheduler.operations.following import EventGap, EventReader


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on; Ctrl-C ends it.")
@click.option("--since", metavar="ID", help="Events after this one; 0-0 is the beginning.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option(
    "--from-oldest", is_flag=True, help="Where events are no longer kept, go on from the oldest."
)
@output_option
@pass_app
def events(app: App, /, **asked: Any) -> None:
    """Print events: the newest, or those after --since.

    Where events after --since are no longer kept, says which is the oldest and exits 4, unless
    --from-oldest accepts the gap. JSON is a list; with --follow, a document per line.
    """
    store, limit, follow = app.store.events, asked["limit"], asked["follow"]
    show = _show_json if asked["output"] == JSON else _show_line

    def on_gap(gap: EventGap) -> None:
        if not asked["from_oldest"]:
            raise gap
        say(str(gap))

    reader = EventReader(store, asked["since"] or store.last_id(), on_gap)
    found = reader.read(limit) if asked["since"] else store.newest(limit)
    if asked["output"] == JSON and not follow:
        print_json([event.as_dict() for event in found])
        return
    for event in found:
        show(event)
    while follow:
        for event in reader.wait():
            show(event)


def _show_json(event: EventData) -> None:
    print_json_line(event.as_dict())


def _show_line(event: EventData) -> None:
    fields = dict(event.fields)
    at = fields.pop("at", "")
    told = " ".join(f"{name}={value}" for name, value in fields.items() if value)
    when = moment(int(at)) if at.isdigit() else ""
    click.echo(one_line(f"{event.id} {when} {event.name} {told}"))
