"""Tables for people and JSON for programs; ids are never cut, and a pipe gets plain text."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.errors import one_line
from scheduler.domain.clock import utc
from scheduler.domain.slots import Slots, render_amount
from scheduler.domain.states import SessionState

# Imported when a table is drawn: JSON, submitting and whatever runs on draw none.
if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

TABLE, JSON = "table", "json"

#: Wider than any line: what is piped is never folded.
ENDLESS = 100_000
SECOND_MS, MINUTE_MS = 1_000, 60_000

#: Columns that are folded where the terminal is narrow; words of ours never are.
FREE_TEXT = frozenset(
    {
        "NAME",
        "AGENTS",
        "RUNS",
        "REASON",
        "ERROR",
        "WHY",
        "WHY NOT",
        "CURED WHEN",
        "LABELS",
        "ADMISSION",
    }
)

_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        SessionState.RUNNING: "cyan",
        SessionState.SUCCEEDED: "green",
        SessionState.FAILED: "red",
        SessionState.TIMED_OUT: "red",
        SessionState.CANCELLED: "yellow",
        SessionState.RETRYING: "yellow",
    }
)
_HALVES = re.compile("[\ud800-\udfff]")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def output_option(command: Any) -> Any:
    """``-o table|json``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([TABLE, JSON]),
        default=TABLE,
        show_default=True,
        help="For people or for programs.",
    )(command)


def print_json(value: object) -> None:
    """One JSON document."""
    click.echo(_json(value, indent=2))


def print_json_line(value: object) -> None:
    """One JSON document on a line of its own, for streams."""
    click.echo(_json(value, separators=(",", ":")))


def _json(value: object, **form: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, **form)
    # JSON may hold halves of characters, which nothing but its own escapes can write.
    return text if not _HALVES.search(text) else json.dumps(value, **form)


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines."""
    for line in lines:
        click.echo(line)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str = "",
    cut: Sequence[str] = (),
) -> None:
    """Rows under headings; ``empty`` is said beside the output where there are none.

    Columns of free text are folded where the terminal is narrow, those of ``cut`` end in three dots.
    """
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column not in FREE_TEXT, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(v, cut=c in cut) for c, v in zip(columns, row, strict=True)))
    if not table.row_count and empty:
        click.echo(empty, err=True)
        return
    _render(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one per line; those that are empty are left out."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in ("", None):
            table.add_row(name, _cell(value))
    _render(table)


def print_tree(tree: Tree) -> None:
    """A tree; its labels are the caller's, on one line each."""
    _render(tree)


def coloured(state: str) -> Text:
    """A state as tables show it."""
    return _cell(state)


def _cell(value: object, *, cut: bool = False) -> Text:
    from rich.text import Text  # noqa: PLC0415

    text = one_line("" if value is None else str(value))
    # The column may get narrower, as one that folds, and its text stays on its line.
    form: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"} if cut else {}
    return Text(text, style=_COLOURS.get(text, ""), **form)


def _render(what: Table | Tree) -> None:
    from rich.console import Console  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=terminal,
        no_color=not terminal or "NO_COLOR" in os.environ,
        color_system="standard" if terminal else None,
        width=shutil.get_terminal_size().columns if terminal else ENDLESS,
    )
    console.print(what)
    for line in out.getvalue().splitlines():
        click.echo(line.rstrip())


def age(then_ms: int | None, now_ms: int) -> str:
    """How long ago."""
    return "" if then_ms is None else duration(max(0, now_ms - then_ms))


def duration(ms: int) -> str:
    """A time in its two largest units: ``350ms``, ``42s``, ``1h30m``, ``2d``."""
    if ms < MINUTE_MS:
        return f"{ms}ms" if ms < SECOND_MS else f"{ms // SECOND_MS}s"
    found: list[str] = []
    rest = ms // SECOND_MS
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or found:
            found.append(f"{count}{unit}" if count else "")
    return "".join(found[:2])


def moment(ms: int | None) -> str:
    """A time of day, in UTC: what is stored is Redis' clock, not this machine's."""
    return "" if ms is None else utc(ms)


def slots_of(free: Slots, total: Slots) -> str:
    """Free and total of each slot; devices of a family together: ``cpu 1.5/2  cuda 3/4 free``."""
    return "  ".join(
        f"{name} {_amount(name, free.get(name, 0))}/{_amount(name, amount)}"
        for name, amount in total.items()
    )


def _amount(name: str, value: int) -> str:
    return f"{value / 1000:g}" if "." in name else render_amount(name, value)
