"""``scheduler replay``: place a cluster trace through the real leader code."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from scheduler.cli.comparing import plugin, show_played, show_saturated
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
from scheduler.domain.group import Backfill
from scheduler.leader.rehearsal import CONCENTRATED, FIFO, Plugin
from scheduler.leader.replay import Allocation, Replayed, check_policy, replay
from scheduler.leader.stage import Stage
from scheduler.leader.trace import Node, Task, read_nodes, read_tasks
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
@click.option(
    "--scheduler",
    "schedulers",
    type=plugin,
    multiple=True,
    metavar="NAME[:OPT=VALUE,...]",
    help="In which order tasks are tried.  [default: fifo; --timed: every one]",
)
@click.option(
    "--selector",
    "selectors",
    type=plugin,
    multiple=True,
    metavar="NAME[:OPT=VALUE,...]",
    help="Which node gets a task.  [default: concentrated; to compare: every one]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Only each Nth node: a smaller cluster is a fuller one.",
)
@click.option(
    "--saturate",
    type=click.FloatRange(min=0, max=100, min_open=True),
    metavar="LOAD",
    help="Draw tasks at random until the GPUs asked for are so many times the cluster's; compares selectors.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of what is drawn.")
@click.option(
    "--timed",
    is_flag=True,
    help="Let tasks arrive and end as in the trace, on a virtual clock; compares policies.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="With --timed: tasks arrive so many times faster, and run as long.",
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the comparison, too.",
)
@click.option(
    "--namespace", metavar="NAME", help="Of its own, emptied at the end.  [default: replay-RANDOM]"
)
@click.option(
    "--embedded", is_flag=True, help="On a Redis of its own, though --redis names another."
)
@output_option
@pass_app
def replay_command(app: App, /, **asked: Any) -> None:
    """Place a trace's tasks onto its nodes: how many find room, how full it gets, how fast it goes.

    Runs on a Redis of its own unless --redis names one, and there in a namespace of its own. Tasks
    are submitted in the order of creation_time; all are kept, none ends.

    With --saturate or --timed policies are compared: by the same decisions, on a snapshot without
    Redis. Both options --scheduler and --selector may be repeated there. --timed needs the columns
    deletion_time and scheduled_time, too.
    """
    configure("WARNING")
    _check_words(asked)
    nodes, tasks = read_nodes(asked["nodes"]), read_tasks(asked["tasks"])
    nodes, tasks = nodes[:: asked["every"]], tasks[: asked["limit"]]
    told = {"png": asked["png"], "output": asked["output"]}
    if asked["saturate"] is not None:
        load, seed = asked["saturate"], asked["seed"]
        show_saturated(nodes, tasks, asked["selectors"], load=load, seed=seed, **told)
    elif asked["timed"]:
        policies = (asked["schedulers"], asked["selectors"])
        show_played(nodes, tasks, policies, speed=asked["speed"], **told)
    else:
        _replay(app, asked, nodes, tasks)


def _check_words(asked: Mapping[str, Any]) -> None:
    """Options that would say nothing where they are given. Raises UsageError."""
    saturate, timed = asked["saturate"] is not None, asked["timed"]
    if saturate and timed:
        raise click.UsageError("--saturate and --timed are two ways to compare; choose one.")
    if saturate and asked["schedulers"]:
        raise click.UsageError(
            "--saturate places one task at a time: there --scheduler says nothing."
        )
    if not (saturate or timed):
        if asked["png"] is not None:
            raise click.UsageError("--png draws a comparison; give --saturate or --timed, too.")
        if max(len(asked["schedulers"]), len(asked["selectors"])) > 1:
            raise click.UsageError("Several policies are compared with --saturate or --timed.")


def _replay(
    app: App, asked: Mapping[str, Any], nodes: Sequence[Node], tasks: Sequence[Task]
) -> None:
    """Through the real leader and the real commit."""
    scheduler: Plugin = next(iter(asked["schedulers"]), FIFO)
    selector: Plugin = next(iter(asked["selectors"]), CONCENTRATED)
    options = {
        "scheduler": scheduler.name,
        "scheduler_opts": dict(scheduler.opts),
        "agent_selector": selector.name,
        "agent_selector_opts": dict(selector.opts),
        # Nothing ends here, so there is nothing to wait for.
        "backfill": Backfill.NONE,
    }
    check_policy(options)
    namespace = asked["namespace"] or f"replay-{secrets.token_hex(4)}"
    given = app.settings().redis_url if app.redis_url and not asked["embedded"] else ""
    with _redis(given) as url, Stage(url, namespace, options) as stage:
        found = replay(stage, nodes, tasks, SystemClock())
    if asked["output"] == JSON:
        print_json(found.as_json() | {"scheduler": str(scheduler), "selector": str(selector)})
    else:
        _show(found, str(selector))


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
