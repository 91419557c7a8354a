"""Draws what replays compared; matplotlib comes with the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.domain.errors import Refused
from scheduler.leader.timed import Played


def check_charts(path: Path | None) -> None:
    """Refuse to draw before anything is computed. Raises Refused."""
    if path is not None:
        _pyplot()
        if not path.parent.is_dir():
            raise Refused(why=f"{path.parent} is no folder, the chart cannot be written there")


def draw_saturated(path: Path, allocated: Mapping[str, Mapping[float, float]]) -> None:
    """GPUs allocated by load, a line per selector. Raises Refused."""
    figure, axes = _pyplot().subplots(figsize=(8, 5))
    for selector, marks in allocated.items():
        axes.plot(list(marks), list(marks.values()), marker="o", label=selector)
    axes.set_xlabel("GPUs asked for / GPUs of the cluster")
    axes.set_ylabel("GPUs allocated, %")
    _finish(figure, [axes], path)


def draw_played(path: Path, found: Sequence[Played]) -> None:
    """How many tasks waited longer than so long, and how full the cluster was. Raises Refused."""
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(12, 5))
    names = [f"{played.scheduler}\n{played.selector}" for played in found]
    for name, played in zip(names, found, strict=True):
        waits = sorted(played.waits.values(), reverse=True)
        left.step([w + 1 for w in waits], range(1, len(waits) + 1), label=name.replace("\n", ", "))
    left.set_xscale("log")
    left.set_xlabel("seconds waited, and one")
    left.set_ylabel("tasks that waited at least so long")
    rows = range(len(found))
    right.barh(rows, [played.allocation for played in found], color="#c6dbef", label="at most")
    right.barh(rows, [played.utilization for played in found], color="#3182bd", label="on average")
    right.set_yticks(list(rows), names)
    right.set_xlabel("GPUs allocated while tasks arrived, %")
    _finish(figure, [left, right], path)


def _finish(figure: Any, axes: Sequence[Any], path: Path) -> None:
    for part in axes:
        part.grid(alpha=0.3)
        part.legend(fontsize="small")
    figure.tight_layout()
    try:
        # No date and no version inside: the same numbers give the same file.
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    except OSError as error:
        raise Refused(why=f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        _pyplot().close(figure)


def _pyplot() -> Any:
    try:
        # Only who draws pays for it; it takes half a second to import.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        why = (
            "a chart needs matplotlib, which is not installed; say"
            " `pip install 'session-scheduler[bench]'`, or leave --png out"
        )
        raise Refused(why=why) from error
    mpl.use("agg")
    return plt
