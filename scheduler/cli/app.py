"""The root command, its own commands, and those that others contribute."""

from __future__ import annotations

import io
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click
from click.shell_completion import get_completion_class

from scheduler.cli.context import App
from scheduler.cli.errors import SentenceGroup, say, tell_defect
from scheduler.cli.lazy import LazyGroup
from scheduler.domain.errors import InvalidSetting
from scheduler.service.starting import without_gc

PROGRAM = "scheduler"
COMMANDS = "scheduler.commands"
SHELLS = ("bash", "zsh", "fish")
#: Where the commands are; each is imported when it is asked for.
HOMES = {
    "agent": "scheduler.cli.agents:agent",
    "api": "scheduler.cli.api:api",
    "callback": "scheduler.cli.callbacks:callback",
    "dev": "scheduler.cli.dev:dev",
    "doctor": "scheduler.cli.doctor:doctor",
    "events": "scheduler.cli.events:events",
    "graph": "scheduler.cli.graphs:graph",
    "group": "scheduler.cli.groups:group",
    "key": "scheduler.cli.keys:key",
    "job": "scheduler.cli.jobs:job",
    "leader": "scheduler.cli.leader:leader",
    "migrate": "scheduler.cli.migrate:migrate_",
    "office": "scheduler.cli.offices:office",
    "replay": "scheduler.cli.replay:replay_command",
    "replica": "scheduler.cli.replica:replica",
    "scope": "scheduler.cli.scopes:scope",
    "session": "scheduler.cli.sessions:session",
    "subscriber": "scheduler.cli.subscribers:subscriber",
}


class RootGroup(SentenceGroup, LazyGroup):
    """Our commands, merged with those of entry point group ``scheduler.commands``.

    A contributed group of the same name as one of ours adds its commands to it; ours win.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing what others contribute."""
        return sorted(
            {*super().list_commands(ctx), *(p.name for p in entry_points(group=COMMANDS))}
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, merged."""
        own = super().get_command(ctx, cmd_name)
        for point in entry_points(group=COMMANDS, name=cmd_name):
            own = _merge(own, _load(point))
        return own


class MergedGroup(click.Group):
    """Our group with the commands somebody contributed to it.

    Those know nothing of ours; they find the root's options in ``ctx.obj``, a dict of ``redis`` and
    ``namespace``.
    """

    def __init__(self, own: click.Group, other: click.Group) -> None:
        super().__init__(own.name, other.commands, help=own.help)
        self._own = own

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, ours and contributed."""
        return sorted({*super().list_commands(ctx), *self._own.list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, ours or contributed."""
        own = self._own.get_command(ctx, cmd_name)
        if own is not None:
            return own
        app = ctx.find_object(App)
        if app is not None:
            ctx.obj = {"redis": app.redis_url, "namespace": app.namespace}
        return super().get_command(ctx, cmd_name)


def _load(point: EntryPoint) -> click.Command:
    """What an entry point names; where that cannot be had, a command that says so."""
    try:
        with without_gc():
            found = point.load()
    except (ImportError, AttributeError) as error:
        return _Broken(point, f"{point.value} cannot be imported: {error}")
    if not isinstance(found, click.Command):
        return _Broken(point, f"{point.value} is no command")
    return found


class _Broken(click.Command):
    """Stands for a command that cannot be loaded: `scheduler --help` must not fail for it."""

    def __init__(self, point: EntryPoint, problem: str) -> None:
        super().__init__(point.name, short_help="(Cannot be loaded.)", add_help_option=False)
        self.error = InvalidSetting(name=f"command {point.name}", problem=problem)

    def make_context(self, *_: object, **__: object) -> click.Context:
        """Whatever it is asked, it says why it is not there."""
        raise self.error


def _merge(own: click.Command | None, other: click.Command) -> click.Command:
    if own is None:
        return other
    if isinstance(own, click.Group) and isinstance(other, click.Group):
        return MergedGroup(own, other)
    if isinstance(other, _Broken):
        say(str(other.error))
    return own


@click.group(
    PROGRAM,
    cls=RootGroup,
    homes=HOMES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    envvar="SCHEDULER_REDIS_URL",
    show_envvar=True,
    help="Where Redis is.  [default: redis://localhost:6379/0]",
)
@click.option(
    "--namespace",
    metavar="NAME",
    envvar="SCHEDULER_NAMESPACE",
    show_envvar=True,
    help="What all keys begin with.  [default: scheduler]",
)
@click.version_option(None, "-V", "--version", package_name="session-scheduler", prog_name=PROGRAM)
@click.pass_context
def cli(ctx: click.Context, redis_url: str | None, namespace: str | None) -> None:
    """Schedule sessions on Redis and RQ.

    Exit codes: 0 done, 1 the session failed (or the doctor found something), 2 wrong usage,
    3 not found, 4 refused, 5 Redis does not answer, 70 a defect of the scheduler (or a key in Redis that
    somebody spoilt), 124 it did not end in the time that --timeout gave it, 130 interrupted, 141 nobody
    read the output any more. Errors are one sentence on stderr. A DURATION is 500ms, 30s, 5m, 1.5h or
    2d; a bare number is seconds.

    `scheduler completion bash|zsh|fish` prints completion for your shell.
    """
    app = ctx.ensure_object(App)
    app.redis_url, app.namespace = redis_url or app.redis_url, namespace or app.namespace
    ctx.call_on_close(app.close)


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print shell completion.

    \b
    bash:  scheduler completion bash > ~/.local/share/bash-completion/completions/scheduler
    zsh:   scheduler completion zsh > "${fpath[1]}/_scheduler"
    fish:  scheduler completion fish > ~/.config/fish/completions/scheduler.fish

    Commands and options are completed, and ids of sessions, agents and groups from Redis.
    """  # noqa: D301 - click needs the character itself
    kind: Any = get_completion_class(shell)
    click.echo(kind(cli, {}, PROGRAM, f"_{PROGRAM}_complete".upper()).source())


def run() -> None:
    """Do what the arguments of this process say, and leave with the code of how it ended."""
    sys.excepthook = tell_defect
    for stream in (sys.stdout, sys.stderr):
        # A name that this terminal cannot show must not end the command that lists it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name=PROGRAM)
