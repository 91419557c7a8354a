"""Reads a cluster trace: nodes and tasks as CSV files, in the form of alibaba/clusterdata."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from scheduler.domain.constraints import MODEL
from scheduler.domain.errors import InvalidInput
from scheduler.domain.ids import has_control_characters, is_name
from scheduler.domain.slots import DEVICE

NODE_COLUMNS: Final = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
TASK_COLUMNS: Final = (
    *("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"),
    *("gpu_spec", "creation_time"),
)
#: The family under which accelerators of the trace are offered and asked for.
GPU: Final = "cuda"
MOST_DEVICES: Final = 64
LARGEST: Final = 2**40
LONGEST_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class Node:
    """One machine: what it offers, as device slots."""

    sn: str
    capacity: Mapping[str, int]
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Task:
    """One task: what it asks for, in the words of a session."""

    name: str
    slots: Mapping[str, str | int]
    models: str  #: the models it accepts, separated by |; empty for any
    created_at: int
    seconds: int | None = None  #: how long it ran, where the list tells
    user: str = (
        ""  #: whose it is, for shares: column user, or where that is not, its class, column qos
    )

    @property
    def labels(self) -> Mapping[str, str]:
        """The models it accepts, in the words of a session; for a task without GPUs they say nothing."""
        asks = any(name.startswith(f"{GPU}.") for name in self.slots)
        return {f"{GPU}{MODEL}": self.models} if asks and self.models else {}


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a file; what is wrong with it is told with its place."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def number(self, column: str, *, most: int = LARGEST) -> int:
        """A whole number, zero or more. Raises InvalidInput."""
        text = self.cells[column].strip()
        if text.removeprefix("-").isdecimal() and text.isascii():
            value = int(text)
            if value < 0:
                self.refuse(column, f"{value} is negative")
            if value > most:
                self.refuse(column, f"{value} is more than {most}")
            return value
        return self.refuse(column, f"{text[:40]!r} is no whole number")

    def refuse(self, column: str, problem: str) -> NoReturn:
        """Say what is wrong with a column. Raises InvalidInput."""
        raise InvalidInput(problem=f"{self.path}, line {self.line}, column {column}: {problem}.")


def read_nodes(path: Path) -> list[Node]:
    """All machines. Raises InvalidInput."""
    nodes: dict[str, Node] = {}
    for row in _rows(path, NODE_COLUMNS):
        node = _node(row)
        if node.sn in nodes:
            row.refuse("sn", f"{node.sn} stands there twice")
        nodes[node.sn] = node
    return list(nodes.values())


def read_tasks(path: Path) -> list[Task]:
    """All tasks, in the order in which they were created. Raises InvalidInput."""
    tasks = [_task(row) for row in _rows(path, TASK_COLUMNS)]
    return sorted(tasks, key=lambda task: task.created_at)


def _node(row: _Row) -> Node:
    sn, model = row.cells["sn"].strip(), row.cells["model"].strip()
    if not is_name(sn):
        row.refuse("sn", f"{sn[:64]!r} is no name: letters, digits, _ and - only, at most 63")
    plain = {"cpu": row.number("cpu_milli"), "mem": row.number("memory_mib")}
    devices = {f"{GPU}.{n}": DEVICE for n in range(row.number("gpu", most=MOST_DEVICES))}
    capacity = {slot: amount for slot, amount in plain.items() if amount} | devices
    if not capacity:
        row.refuse("cpu_milli", "the node has neither cpu, memory nor gpu")
    return Node(sn, capacity, {GPU: model} if devices and model else {})


def _task(row: _Row) -> Task:
    name = row.cells["name"].strip()
    if len(name) > LONGEST_NAME or has_control_characters(name):
        row.refuse(
            "name", f"a name has at most {LONGEST_NAME} characters and no control characters"
        )
    cpu, mem = row.number("cpu_milli"), row.number("memory_mib")
    slots: dict[str, str | int] = {"cpu": f"{cpu}m"} if cpu else {}
    slots |= {"mem": f"{mem}MiB"} if mem else {}
    slots |= _gpus(row)
    if not slots:
        row.refuse("cpu_milli", "the task asks for neither cpu, memory nor gpu")
    created_at = row.number("creation_time")
    user = (row.cells.get("user") or row.cells.get("qos") or "").strip()
    if len(user) > LONGEST_NAME or has_control_characters(user):
        row.refuse("qos", f"a user has at most {LONGEST_NAME} characters and no control characters")
    models = row.cells["gpu_spec"].strip()
    return Task(name, slots, models, created_at, _ran(row, created_at), user)


def _ran(row: _Row, created_at: int) -> int | None:
    if not (row.cells.get("deletion_time") or "").strip():
        return None
    scheduled = (row.cells.get("scheduled_time") or "").strip()
    ran = row.number("deletion_time") - (row.number("scheduled_time") if scheduled else created_at)
    # What was deleted in the second in which it began ran for a moment, too.
    return max(1, ran) if ran >= 0 else None


def _gpus(row: _Row) -> dict[str, int]:
    count, share = row.number("num_gpu"), row.number("gpu_milli", most=DEVICE)
    if count and not share:
        row.refuse("gpu_milli", f"it is 0, while num_gpu is {count}")
    if count == 1 and share < DEVICE:
        return {f"{GPU}.shares": share}
    return {f"{GPU}.device": count} if count else {}


def _rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    try:
        # utf-8-sig: spreadsheets put a mark before the first heading.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                problem = f"{path}, line 1, column {missing[0]}: it is missing."
                raise InvalidInput(problem=problem)
            for cells in reader:
                row = _Row(path, reader.line_num, cells)
                for column in columns:
                    if cells[column] is None:
                        row.refuse(column, "it is missing, the line is too short")
                yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInput(problem=f"{path} is no CSV file: {error}.") from error
    except OSError as error:
        raise InvalidInput(problem=f"{path} cannot be read: {error.strerror or error}.") from error
