"""`scheduler agent run` and `scheduler agent key`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from agents.settings import read_settings, secret_of
from scheduler.domain.constraints import MODEL, OR
from scheduler.domain.errors import (
    InvalidInput,
    InvalidSetting,
    NotFound,
    Refused,
    SchedulerError,
    StoreUnavailable,
)
from scheduler.domain.ids import has_control_characters
from scheduler.domain.slots import parse_capacity
from scheduler.observability import logs
from scheduler.observability.addresses import read_address
from scheduler.protocol import signing
from scheduler.service.starting import without_gc

_EXIT_CODES: Final = ((InvalidInput, 2), (NotFound, 3), (Refused, 4), (StoreUnavailable, 5))
#: What a session can ask for: a name and a value of 256 characters.
_LONGEST_LABEL: Final = 513


class _Command(click.Command):
    """Says what is wrong in one sentence, and leaves with the code of its kind."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SchedulerError as error:
            click.echo(str(error), err=True)
            code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
            ctx.exit(code)


@click.group()
def agent() -> None:
    """Run agents, and see what they do."""


def _given(ctx: click.Context, **options: Any) -> dict[str, Any]:
    """Options of this command, else those of the parent command."""
    parent = ctx.obj if isinstance(ctx.obj, dict) else {}
    options["redis_url"] = options.pop("redis", None) or parent.get("redis")
    options["namespace"] = options.get("namespace") or parent.get("namespace")
    return options


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidSetting(name="label", problem=f"expected NAME=VALUE, got {pair!r}")
        if has_control_characters(pair) or OR in pair or len(pair) > _LONGEST_LABEL:
            problem = f"{pair[:64]!r} has control characters or a {OR}, or more than {_LONGEST_LABEL} characters"
            raise InvalidSetting(name="label", problem=problem)
        if name.endswith(MODEL):
            problem = (
                f"{name} is not a label: the model of devices stands in --slots, as cuda=8:V100"
            )
            raise InvalidSetting(name="label", problem=problem)
        if labels.get(name, value) != value:
            raise InvalidSetting(name="label", problem=f"{name} is given twice, {pair!r} at last")
        labels[name] = value
    return labels


def _address(text: str | None) -> tuple[str, int] | None:
    try:
        return None if text is None else read_address(text)
    except ValueError as error:
        raise InvalidSetting(name="http", problem=f"{text!r}: {error}") from error


_NAMESPACE: Final = click.option("--namespace", help="Prefix of all keys [SCHEDULER_NAMESPACE].")
_SECRET_FILE: Final = click.option(
    "--secret-file", type=click.Path(path_type=Path), help="File with the cluster's secret."
)


@agent.command("run", cls=_Command)
@click.option("--id", "name", required=True, help="The agent's id, one machine's for ever.")
@click.option("--group", default="default", show_default=True, help="Its scaling group.")
@click.option("--slots", required=True, help="What it offers, e.g. cpu=4,mem=8GiB,cuda=8:V100.")
@click.option(
    "--address",
    default=socket.gethostname,
    show_default="its host name",
    help="Where kernels of other agents reach its kernels.",
)
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; may be repeated.")
@click.option(
    "--allow", multiple=True, help="Callables it runs, e.g. 'examples.*'; may be repeated."
)
@click.option("--allow-commands", is_flag=True, help="Run commands, too.")
@click.option(
    "--max-kernels",
    type=click.IntRange(min=0),
    default=0,
    help="At once; 0 is no limit but the slots.",
)
@click.option(
    "--path",
    default=".",
    type=click.Path(path_type=Path),
    show_default=True,
    help="Where callables are found.",
)
@click.option(
    "--state-dir", type=click.Path(path_type=Path), help="Where it keeps its run directory."
)
@click.option(
    "--http", metavar="HOST:PORT", help="Serve /health and /metrics here, as 127.0.0.1:9201."
)
@click.option("--redis", help="URL of Redis [SCHEDULER_REDIS_URL].")
@click.option("--key-file", type=click.Path(path_type=Path), help="File with the agent's own key.")
@_NAMESPACE
@_SECRET_FILE
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Run an agent until it is stopped."""
    # Here, so that `scheduler --help` does not wait for RQ.
    with without_gc():
        from agents.bootstrap import Offer, run_agent  # noqa: PLC0415

    given = _given(
        ctx,
        redis=options["redis"],
        namespace=options["namespace"],
        secret_file=options["secret_file"],
        agent_key_file=options["key_file"],
        state_dir=options["state_dir"],
    )
    settings = read_settings(**given)
    slots, models = parse_capacity(options["slots"])
    offer = Offer(
        agent=options["name"],
        group=options["group"],
        slots=slots,
        models=models,
        labels=_labels(options["labels"]),
        address=options["address"],
        max_kernels=options["max_kernels"],
        allow=options["allow"],
        allow_commands=options["allow_commands"],
        path=options["path"],
        http=_address(options["http"]),
    )
    logs.configure(settings.log_level)
    sys.exit(run_agent(settings, offer))


@agent.command("key", cls=_Command)
@click.option("--id", "name", required=True, help="The agent's id.")
@_NAMESPACE
@_SECRET_FILE
@click.pass_context
def key(ctx: click.Context, *, name: str, namespace: str | None, secret_file: Path | None) -> None:
    """Print an agent's own key, derived from the cluster's secret: all it needs to know."""
    settings = read_settings(**_given(ctx, namespace=namespace, secret_file=secret_file))
    click.echo(signing.agent_key(secret_of(settings), settings.namespace, name))
