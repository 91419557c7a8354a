"""``scheduler replica``: a process that stands for leadership."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler import bootstrap
from scheduler.cli.context import App, pass_app
from scheduler.cli.options import address, group_option
from scheduler.domain.errors import Refused
from scheduler.domain.group import DEFAULT_GROUP
from scheduler.observability.logs import configure, get_logger
from scheduler.observability.metrics import exposition
from scheduler.observability.serving import StatusServer, pages, serve_pages
from scheduler.operations.inspection import measure
from scheduler.operations.profiling import profile_of
from scheduler.settings import Settings
from scheduler.store.audit import AuditRepository
from scheduler.store.profiles import LONGEST_S, ProfileRepository

if TYPE_CHECKING:
    from scheduler.leader.replica import Replica


@click.group()
def replica() -> None:
    """Run a scheduler replica."""


@replica.command()
@click.option("--name", help="What people see.  [default: host and process id]")
@group_option(
    multiple=True,
    default=(DEFAULT_GROUP,),
    show_default=True,
    help="A scaling group to stand in; may be repeated.",
)
@click.option(
    "--http",
    type=address,
    metavar="HOST:PORT",
    help="Serve /health and /metrics here, as 127.0.0.1:9101.",
)
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The cluster's secret, instead of SCHEDULER_SECRET.",
)
@pass_app
def run(
    app: App,
    name: str | None,
    group: Sequence[str],
    http: tuple[str, int] | None,
    secret_file: Path | None,
) -> None:
    """Run until SIGTERM or Ctrl-C, then hand over.

    Any number of replicas may run; in each scaling group one of them leads.
    """
    settings = app.settings(secret_file=secret_file)
    configure(settings.log_level)
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    worker = bootstrap.make_replica(settings, name, group)
    asked_to_stop = stop_signals()
    with ExitStack() as running:
        if http:
            running.callback(serve(http, settings, worker).stop)
        worker.start()
        running.callback(worker.stop)
        log = get_logger(replica=name)
        log.info("replica.started", groups=list(group))
        asked_to_stop.wait()
        log.info("replica.stopping")


def stop_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked


def serve(address: tuple[str, int], settings: Settings, worker: Replica) -> StatusServer:
    """Health and metrics of a replica over HTTP, answering already. Raises Refused."""
    store = bootstrap.open_store(settings)
    audit = AuditRepository(store.client, store.keys)
    snapshot = exposition(lambda: measure(store, audit, worker.health()["leads"]))
    return serve_pages(address, pages(worker.health, snapshot))


@replica.command()
@click.argument("name")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, LONGEST_S),
    default=10.0,
    show_default=True,
    help="For how long it is looked at.",
)
@group_option(help="Which of its groups, where it leads several.")
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where to write it; NAME.html is a page, anything else is text.  [default: standard output]",
)
@pass_app
def profile(app: App, name: str, seconds: float, group: str | None, file: Path | None) -> None:
    """Write a profile of a leader at work: where its time goes.

    NAME is the replica's, as `scheduler leader show` has it. It is asked through Redis and looks at
    the thread that leads, 200 times a second for as long as it was asked; nothing is measured else.
    """
    # A third of the time that the command line takes to start; needed here only.
    from pyinstrument.renderers import ConsoleRenderer, HTMLRenderer  # noqa: PLC0415
    from pyinstrument.session import Session  # noqa: PLC0415

    profiles = ProfileRepository(app.store.client, app.store.keys)
    found = Session.from_json(profile_of(app.store, profiles, name, group, seconds))
    if file is None:
        click.echo(ConsoleRenderer().render(found))
        return
    html = file.suffix == ".html"
    text = HTMLRenderer().render(found) if html else ConsoleRenderer().render(found)
    try:
        file.write_text(text)
    except OSError as error:
        raise Refused(why=f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{found.sample_count} samples of {found.duration:.1f} s are in {file}")
