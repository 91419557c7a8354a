"""``scheduler events``: what happens, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from scheduler.bootstrap import Store
from scheduler.cli.context import App, checked_session, pass_app
from scheduler.cli.errors import one_line, say
from scheduler.cli.options import complete_offices, complete_sessions
from scheduler.cli.output import JSON, moment, output_option, print_json, print_json_line
from scheduler.domain.events import EventData
from scheduler.domain.office import check_office_name
from scheduler.domain.subscriber import ALL_EVENTS, check_patterns
from scheduler.operations.following import EventGap, EventReader
from scheduler.operations.telling import OfOffice, shown, told

#: Events read at once.
_PAGE: Final = 1_000

Shown = dict[str, Any]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on; Ctrl-C ends it.")
@click.option("--since", metavar="ID", help="Events after this one; 0-0 is the beginning.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option(
    "--event",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="Only such, as session.failed, 'agent.*' or job_failed; may be repeated.",
)
@click.option(
    "--session", metavar="ID", shell_complete=complete_sessions, help="Only of this session."
)
@click.option(
    "--office", metavar="NAME", shell_complete=complete_offices, help="Only of this office's jobs."
)
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
    wanted = _Wanted(app.store, asked["patterns"], asked["session"] or "", asked["office"])
    store, limit, follow = app.store.events, asked["limit"], asked["follow"]
    show = print_json_line if asked["output"] == JSON else _show_line

    def on_gap(gap: EventGap) -> None:
        if not asked["from_oldest"]:
            raise gap
        say(str(gap))

    reader = EventReader(store, asked["since"] or store.last_id(), on_gap)
    found = wanted.after(reader, limit) if asked["since"] else wanted.newest(limit)
    if asked["output"] == JSON and not follow:
        print_json(found)
        return
    for event in found:
        show(event)
    while follow:
        for event in wanted.of(reader.wait()):
            show(event)


class _Wanted:
    """Of all events those that were asked for.

    Raises InvalidSetting for a pattern that names none and for what is no name of an office,
    SessionNotFound for what is no id of a session.
    """

    def __init__(
        self, store: Store, patterns: tuple[str, ...], session: str, office: str | None
    ) -> None:
        check_patterns(patterns or ALL_EVENTS)
        self._store = store
        self._patterns = patterns or ALL_EVENTS
        self._session = session and checked_session(session)
        self._own = OfOffice(store.sessions, "" if office is None else check_office_name(office))

    def of(self, found: Sequence[EventData]) -> list[Shown]:
        """What is shown of some."""
        if self._session:
            found = [event for event in found if event.fields.get("session") == self._session]
        mine = told(self._store.sessions, self._own.keep(found), self._patterns)
        return [shown(event)[2] for event in mine]

    def newest(self, limit: int) -> list[Shown]:
        """The newest that are wanted, oldest first, as far back as events are kept."""
        some: list[Shown] = []
        page = self._store.events.newest(_PAGE)
        while page and len(some) < limit:
            some = self.of(page) + some
            page = self._store.events.newest(_PAGE, before=page[0].id)
        return some[-limit:]

    def after(self, reader: EventReader, limit: int) -> list[Shown]:
        """The first that are wanted after a reader's id; it has read those only, or all there are."""
        some: list[Shown] = []
        while len(some) < limit and (page := reader.read(min(_PAGE, limit - len(some)))):
            some += self.of(page)
        return some


def _show_line(event: Shown) -> None:
    fields = dict(event["fields"])
    at = str(fields.pop("at", ""))
    told_of = " ".join(f"{name}={value}" for name, value in fields.items() if value)
    when = moment(int(at)) if at.isdigit() else ""
    click.echo(one_line(f"{event['id']} {when} {event['name']} {told_of}"))
