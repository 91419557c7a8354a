"""Measure, print beside the budgets, write JSON: `scripts/bench [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from rich.console import Console

from benchmarks import (
    api,
    beats,
    ceiling,
    end_to_end,
    fairness,
    footprint,
    graphs,
    growth,
    latency,
    loading,
    placement,
    policy,
    report,
    submission,
    takeover,
)
from benchmarks.scale import QUICK, Scale
from scheduler.observability.logs import configure

MEASUREMENTS: Final[Mapping[str, Callable[[Scale], dict[str, Any]]]] = {
    "ceiling": ceiling.measure,
    "placement": placement.measure,
    "policy": policy.measure,
    "fairness": fairness.measure,
    "graphs": graphs.measure,
    "submission": submission.measure,
    "end_to_end": end_to_end.measure,
    "latency": latency.measure,
    "takeover": takeover.measure,
    "loading": loading.measure,
    "beats": beats.measure,
    "footprint": footprint.measure,
    "idle": latency.measure_idle,
    "growth": growth.measure,
    "api": api.measure,
}

#: Columns of a table that is piped: its rows are not folded.
_WIDE: Final = 160


def parser() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    found = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    found.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    found.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw how costs grow, as .svg or .png"
    )
    found.add_argument(
        "--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help="some of them"
    )
    found.add_argument("--quick", action="store_true", help="small numbers: does it work at all")
    return found


def main() -> int:
    """Run what was asked for."""
    asked = parser().parse_args()
    run = {"quick": asked.quick, **report.machine()}
    # The leader's own log lines would stand in the middle of the table.
    configure("ERROR")
    console = Console()
    found: dict[str, Any] = {}
    notes: list[str] = []
    if not console.is_terminal:
        console.width = _WIDE
    for name in asked.only or MEASUREMENTS:
        started = perf_counter()
        try:
            found |= MEASUREMENTS[name](QUICK if asked.quick else Scale())
        except ceiling.ToolMissingError as error:
            notes.append(str(error))
        console.print(f"{name} took {perf_counter() - started:.1f} s", style="dim")
    if asked.plot and "growth_ms_by_agents" in found:
        growth.plot(found, asked.plot)
    result = report.document(found, run=run, notes=notes)
    report.show(result, console)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
