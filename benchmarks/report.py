"""The table for people, the document for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.budgets import BUDGETS, RATIOS, Verdict, verdicts, with_ratios
from scheduler.store.embedded import find_binary

_SMALL = 10


def machine() -> dict[str, Any]:
    """What the machine is, and what others ask of it now: take it before the run asks for anything."""
    return {
        "cores": os.cpu_count(),
        "load_average_before": list(os.getloadavg()),
        "python": platform.python_version(),
        "redis": str(find_binary() or "fakeredis"),
    }


def document(
    found: Mapping[str, Any], *, run: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """Every figure by its key, and what it was measured on."""
    plain = {key: value for key, value in found.items() if isinstance(value, int | float)}
    figures = with_ratios(plain)
    return {
        **found,
        **figures,
        "verdicts": {v.budget.key: v.says for v in verdicts(figures)},
        "notes": list(notes),
        "run": dict(run),
    }


def show(result: Mapping[str, Any], console: Console) -> None:
    """Budgets with their verdicts, then the figures they were made from."""
    figures = {key: value for key, value in result.items() if isinstance(value, int | float)}
    table = Table("what", "measured", "bound", "verdict", "why", title="Budgets", box=None)
    for verdict in verdicts(figures):
        if verdict.measured is not None:
            table.add_row(*_row(verdict), style="" if verdict.holds else "red")
    console.print(table)
    judged = {budget.key for budget in BUDGETS}
    plain = Table("figure", "value", title="Figures", box=None)
    for key, value in figures.items():
        if key not in judged and key not in RATIOS:
            plain.add_row(key, number(value))
    for key, curve in result.items():
        if isinstance(curve, list) and key not in ("notes", "verdicts"):
            plain.add_row(key, ", ".join(f"{n:,}: {number(cost)}" for n, cost in curve))
    console.print(plain)
    console.print(told(result["run"]), *result["notes"], sep="\n", soft_wrap=True)


def told(run: Mapping[str, Any]) -> str:
    """On what it was measured, in a sentence: a busy machine's table is not a quiet one's."""
    loads = ", ".join(f"{load:.2f}" for load in run["load_average_before"])
    return f"{run['cores']} cores; load average before the run (1, 5, 15 min): {loads}"


def _row(verdict: Verdict) -> tuple[str, str, str, str, str]:
    budget, measured = verdict.budget, verdict.measured or 0.0
    bound = f"{budget.comparison} {number(budget.bound)}"
    return budget.what, f"{number(measured)} {budget.unit}", bound, verdict.says, budget.why


def number(value: float) -> str:
    """Three digits that count for what is small, whole numbers for what is large."""
    return f"{value:.3g}" if abs(value) < _SMALL else f"{value:,.0f}"
