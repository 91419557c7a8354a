"""``scheduler api``: the HTTP API."""

from __future__ import annotations

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.options import LARGEST_PORT
from scheduler.cli.replica import stop_signals
from scheduler.domain.errors import InvalidSetting
from scheduler.observability.logs import configure


@click.group()
def api() -> None:
    """Offices and their jobs over HTTP."""


@api.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, LARGEST_PORT), default=8080, show_default=True)
@click.option(
    "--insecure",
    is_flag=True,
    help="Ask nobody for a key: whoever reaches the port may do everything; on loopback only.",
)
@pass_app
def run(app: App, host: str, port: int, *, insecure: bool) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Every request shows a key, which `scheduler key create` makes. /openapi.json describes the pages,
    /health/live and /health/ready tell whether it lives and whether it can serve.
    """
    # FastAPI would cost every other command half a second.
    from scheduler.api.app import make_api  # noqa: PLC0415
    from scheduler.api.serving import ApiServer, is_loopback, listen  # noqa: PLC0415

    if insecure and not is_loopback(host):
        raise InvalidSetting(
            name="--insecure",
            problem=f"without keys everybody who reaches {host} could do everything;"
            " give it with a loopback address such as 127.0.0.1",
        )
    settings = app.settings()
    configure(settings.log_level)
    listener = listen(host, port)
    # What uvicorn caught it raises anew at its end: our handlers take it for what it is, a good end.
    stop_signals()
    ApiServer(make_api(settings, insecure=insecure), listener).serve_until_stopped()
