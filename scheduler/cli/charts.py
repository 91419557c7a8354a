"""Draws what replays compared; matplotlib comes with the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.domain.errors import Refused
from scheduler.leader.timed import Played

_DASHES = ("solid", "dashed", "dotted", "dashdot")


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
    # Each bar has two lines of text beside it.
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(13, max(5, 0.4 * len(found))))
    names = [f"{played.scheduler}\n{played.selector}" for played in found]
    for played, style in zip(found, _styles(found), strict=True):
        waits = sorted(played.waits.values(), reverse=True)
        steps = [wait + 1 for wait in waits]
        left.step(steps, range(1, len(waits) + 1), **style)
    left.set_xscale("log")
    # Who never waited would be most of the chart.
    left.set_ylim(0, 1.3 * max(1, *(played.waited for played in found)))
    left.set_xlabel("seconds waited, and one")
    left.set_ylabel("tasks that waited at least so long")
    rows = range(len(found))
    right.barh(rows, [played.allocation for played in found], color="#c6dbef", label="at most")
    right.barh(rows, [played.utilization for played in found], color="#3182bd", label="on average")
    right.set_yticks(list(rows), names, fontsize="small")
    right.set_ylim(-1, len(found) + 1)
    right.set_xlabel("GPUs allocated while tasks arrived, %")
    _finish(figure, [left, right], path)


def _styles(found: Sequence[Played]) -> list[dict[str, Any]]:
    """A line for each policy; where both vary, a colour for each selector and dashes for each scheduler."""
    schedulers = list(dict.fromkeys(played.scheduler for played in found))
    selectors = list(dict.fromkeys(played.selector for played in found))
    if min(len(schedulers), len(selectors)) == 1:
        return [
            {"color": f"C{index}", "label": f"{played.scheduler}, {played.selector}"}
            for index, played in enumerate(found)
        ]
    styles: list[dict[str, Any]] = []
    for played in found:
        scheduler, selector = schedulers.index(played.scheduler), selectors.index(played.selector)
        style = {"color": f"C{selector}", "linestyle": _DASHES[scheduler % len(_DASHES)]}
        # The first of each tells what stands for it.
        if scheduler == 0:
            style["label"] = f"{played.scheduler}, {played.selector}"
        elif selector == 0:
            style["label"] = f"{played.scheduler}, the others in their colours"
        styles.append(style)
    return styles


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
