"""How the output of kernels is shown: each stream where the kernel wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from scheduler.cli.errors import say
from scheduler.domain.session import SessionData
from scheduler.store.logs import LogLine


def show_line(line: LogLine) -> None:
    """A piece of output; that some was cut is no output, and said beside it as stderr is."""
    click.echo(line.text, nl=False, err=line.stream != "stdout")


def tell_kernel(data: SessionData, kernel: int) -> None:
    """Of a session of several kernels say, beside the output, whose it is."""
    count = len(data.request.kernels)
    if count > 1:
        more = f"`scheduler session logs {data.id} --kernel N` shows another"
        say(f"This is kernel {kernel} of 0 to {count - 1}; {more}")


def last_lines(pieces: Sequence[LogLine], count: int) -> list[LogLine]:
    """The last lines of the output, of both streams together. A piece may hold many lines, or part of one."""
    kept: list[LogLine] = []
    begun: set[str] = set()  #: streams of which the first line that is kept may begin before
    for piece in reversed(pieces):
        lines = piece.text.splitlines(keepends=True)
        goes_on = piece.stream in begun and not piece.text.endswith("\n")
        taken = lines[-(count + goes_on) :] if count + goes_on else []
        count -= max(len(taken) - goes_on, 0)
        if taken:
            kept.append(replace(piece, text="".join(taken)))
        if taken and len(taken) == len(lines):
            begun.add(piece.stream)
        elif lines:
            begun.discard(piece.stream)
        if not count and not begun:
            break
    return kept[::-1]
