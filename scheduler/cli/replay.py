"""``scheduler replay``: place a cluster trace through the real leader code."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from scheduler.cli.context import App, pass_app
from scheduler.cli.output import (
    JSON,
    output_option,
    print_facts,
    print_json,
    print_lines,
    print_table,
)
from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import Refused
from scheduler.leader.replay import Allocation, Replayed, check_selector, replay
from scheduler.leader.stage import Stage
from scheduler.leader.trace import read_nodes, read_tasks
from scheduler.observability.logs import configure
from scheduler.store.embedded import EmbeddedRedis, EmbeddedRedisError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("replay")
@click.option(
    "--nodes", type=_FILE, required=True, help="CSV: sn, cpu_milli, memory_mib, gpu, model."
)
@click.option(
    "--tasks",
    type=_FILE,
    required=True,
    help="CSV: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec, creation_time.",
)
@click.option("--selector", default="concentrated", show_default=True, help="The agent selector.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option(
    "--namespace", metavar="NAME", help="Of its own, emptied at the end.  [default: replay-RANDOM]"
)
@click.option(
    "--embedded", is_flag=True, help="On a Redis of its own, though --redis names another."
)
@output_option
@pass_app
def replay_command(  # noqa: PLR0913 - one parameter per option
    app: App,
    *,
    nodes: Path,
    tasks: Path,
    selector: str,
    limit: int | None,
    namespace: str | None,
    embedded: bool,
    output: str,
) -> None:
    """Place a trace's tasks onto its nodes: how many find room, how full it gets, how fast it goes.

    Runs on a Redis of its own unless --redis names one, and there in a namespace of its own. Tasks
    are submitted in the order of creation_time; all are kept, none ends.
    """
    configure("WARNING")
    machines, work = read_nodes(nodes), read_tasks(tasks)[:limit]
    check_selector(selector)
    namespace = namespace or f"replay-{secrets.token_hex(4)}"
    given = app.settings().redis_url if app.redis_url and not embedded else ""
    with (
        _redis(given) as url,
        Stage(url, namespace, {"agent_selector": selector}) as stage,
    ):
        found = replay(stage, machines, work, SystemClock())
    if output == JSON:
        print_json(found.as_json() | {"selector": selector})
    else:
        _show(found, selector)


@contextmanager
def _redis(url: str) -> Iterator[str]:
    """The address that was given, or that of a Redis that ends with us. Raises Refused."""
    with ExitStack() as running:
        if not url:
            directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
            try:
                url = running.enter_context(EmbeddedRedis(directory)).url
            except EmbeddedRedisError as error:
                raise Refused(why=str(error).rstrip(".")) from error
        yield url


def _show(found: Replayed, selector: str) -> None:
    print_facts(
        {
            "nodes": str(found.nodes),
            "tasks": str(found.tasks),
            "selector": selector,
            "placed": str(found.placed),
            "refused": str(sum(found.refused.values())),
            "seconds": f"{found.seconds:.2f}",
            "placements per second": f"{found.placements_per_s:.0f}",
        }
    )
    print_lines([""])
    print_table(("SLOT", "USED", "OF", "PERCENT"), map(_row, found.allocation))
    if found.refused:
        print_lines([""])
        print_table(("REFUSED", "WHY"), [(count, why) for why, count in found.refused.items()])
    print_lines(["", found.note])


def _row(allocation: Allocation) -> tuple[str, str, str, str]:
    used, total = (
        _amount(allocation.slot, allocation.used),
        _amount(allocation.slot, allocation.capacity),
    )
    return allocation.slot, used, total, f"{allocation.percent:.2f}"


def _amount(slot: str, value: int) -> str:
    return f"{value / 1024:.0f}GiB" if slot == "mem" else f"{value / 1000:g}"
