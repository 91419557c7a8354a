"""The modes of ``scheduler replay`` that compare policies on a snapshot, without Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from scheduler.cli.charts import check_charts, draw_played, draw_saturated
from scheduler.cli.options import plugin_option
from scheduler.cli.output import JSON, duration, print_json, print_lines, print_table
from scheduler.leader.rehearsal import (
    FIFO,
    Plugin,
    Rehearsal,
    installed_schedulers,
    installed_selectors,
)
from scheduler.leader.saturate import Saturated, saturate
from scheduler.leader.timed import check_times, play
from scheduler.leader.trace import Node, Task

_NOTE = (
    "Decided by the production code on a snapshot; nothing is committed, and no Redis is asked."
    " Without --saturate and --timed a replay goes through the real leader and the real commit."
)


def plugin(text: str) -> Plugin:
    """NAME, or NAME:OPTION=VALUE,OPTION=VALUE."""
    name, colon, rest = text.partition(":")
    opts = [plugin_option(part) for part in rest.split(",")] if colon else []
    return Plugin(name, dict(opts))


def show_saturated(  # noqa: PLR0913 - what was asked for
    nodes: Sequence[Node],
    tasks: Sequence[Task],
    selectors: Sequence[Plugin],
    *,
    load: float,
    seed: int,
    png: Path | None,
    output: str,
) -> None:
    """GPU allocated at each load, per selector."""
    check_charts(png)
    chosen = list(selectors) or installed_selectors()
    _check(chosen)
    found: list[Saturated] = []
    for selector in chosen:
        _tell(str(selector))
        found.append(saturate(nodes, tasks, selector, load=load, seed=seed))
    if png is not None:
        draw_saturated(png, {one.selector: one.allocated for one in found})
    if output == JSON:
        print_json({"note": _NOTE, "selectors": [asdict(one) for one in found]})
        return
    marks = list(found[0].allocated)
    print_table(
        ("GPU ALLOCATED, %", *(f"AT {mark:g}" for mark in marks), "DROPPED", "CPU PER TASK"),
        [
            (
                one.selector,
                *(f"{one.allocated[mark]:.2f}" for mark in marks),
                f"{one.dropped} of {one.drawn}",
                f"{one.cpu_us / 1000:.2f}ms",
            )
            for one in sorted(found, key=lambda one: -one.allocated[marks[-1]])
        ],
    )
    print_lines(["", _NOTE])


def show_played(  # noqa: PLR0913 - what was asked for
    nodes: Sequence[Node],
    tasks: Sequence[Task],
    policies: tuple[Sequence[Plugin], Sequence[Plugin]],
    *,
    speed: float,
    png: Path | None,
    output: str,
) -> None:
    """Waiting times, utilization and allocation, per policy."""
    check_charts(png)
    check_times(tasks)
    schedulers = list(policies[0]) or installed_schedulers()
    selectors = list(policies[1]) or installed_selectors()
    _check(selectors, schedulers)
    found = []
    for policy in [(scheduler, selector) for scheduler in schedulers for selector in selectors]:
        _tell(", ".join(map(str, policy)))
        found.append(play(nodes, tasks, policy, speed=speed))
    if png is not None:
        draw_played(png, found)
    if output == JSON:
        told = [{k: v for k, v in asdict(one).items() if k != "waits"} for one in found]
        print_json({"note": _NOTE, "policies": told})
        return
    print_table(
        (
            *("SCHEDULER", "SELECTOR", "PLACED", "NEVER", "WAITED", "P50", "P95", "MEAN"),
            *("LONGEST", "UTILIZATION", "ALLOCATION"),
        ),
        [
            (
                *(one.scheduler, one.selector, one.placed, one.never, one.waited),
                *(_wait(s) for s in (one.wait_p50, one.wait_p95, one.wait_mean, one.wait_longest)),
                *(f"{one.utilization:.2f}%", f"{one.allocation:.2f}%"),
            )
            for one in found
        ],
    )
    print_lines(
        [
            "",
            "UTILIZATION: GPU time allocated while tasks arrived; ALLOCATION: GPUs at the fullest moment.",
            _NOTE,
        ]
    )


def _check(selectors: Sequence[Plugin], schedulers: Sequence[Plugin] = (FIFO,)) -> None:
    """Refuse a plugin or an option that makes no sense before the first is played."""
    for scheduler in schedulers:
        for selector in selectors:
            Rehearsal((), scheduler, selector)


def _tell(what: str) -> None:
    click.echo(f"{what} ...", err=True)


def _wait(seconds: float) -> str:
    return duration(int(1000 * seconds)) if seconds else "0s"
