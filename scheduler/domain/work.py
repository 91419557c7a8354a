"""What a session runs: as it is stored, and as lists show it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import chain
from typing import Any

from scheduler.domain.errors import InvalidSpec
from scheduler.domain.ids import shown
from scheduler.domain.spec import SessionSpec

MAX_ARGUMENTS = 1024 * 1024
#: Characters kept of what a session runs, for lists.
SHOWN_WORK = 100

# Made once: json.dumps makes one for each call with separators.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def work_line(spec: SessionSpec) -> str:
    """What it runs as one short line for lists: the command, or the callable with its arguments."""
    called = f"{spec.callable}({', '.join(_said(spec))})"
    text = shlex.join(spec.command) if spec.command is not None else called
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= SHOWN_WORK else f"{text[: SHOWN_WORK - 3]}..."


def _said(spec: SessionSpec) -> Iterator[str]:
    """Arguments as they would be written, as many as are shown."""
    left = SHOWN_WORK
    named = ((f"{name}=", value) for name, value in spec.kwargs.items())
    for name, value in chain((("", value) for value in spec.args), named):
        if left <= 0:
            return
        said = f"{name}{shown(value, SHOWN_WORK)}"
        left -= len(said)
        yield said


def payload_of(spec: SessionSpec) -> str:
    """The work as JSON text, opaque to everything between the app and the agent. Raises InvalidSpec."""
    work: dict[str, Any] = {"env": dict(spec.env)} if spec.env else {}
    if spec.command is not None:
        work["command"] = list(spec.command)
    else:
        work |= {"callable": spec.callable, "args": list(spec.args), "kwargs": dict(spec.kwargs)}
    try:
        text = _ENCODER.encode(work)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSpec(problem=f"its arguments are not JSON: {error}") from error
    if len(text) > MAX_ARGUMENTS:
        raise InvalidSpec(
            problem=f"its arguments take {len(text)} bytes of JSON, the limit is {MAX_ARGUMENTS}"
        )
    return text
