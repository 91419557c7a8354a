"""Reading a trace: what its columns become, and one sentence with its place for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.verdict import Verdict
from scheduler.leader.replay import reason_of
from scheduler.leader.trace import read_nodes, read_tasks

NODES = "sn,cpu_milli,memory_mib,gpu,model"
TASKS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time"


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "list.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_node_offers_device_slots(tmp_path: Path) -> None:
    [plain, gpus] = read_nodes(written(tmp_path, NODES, "n0,32000,1024,0,", "n1,0,2048,2,T4"))

    assert ("n0", {"cpu": 32_000, "mem": 1_024}, {}) == (plain.sn, plain.capacity, plain.models)
    assert {"mem": 2_048, "cuda.0": 1_000, "cuda.1": 1_000} == gpus.capacity
    assert {"cuda": "T4"} == gpus.models


@pytest.mark.parametrize(
    ("row", "slots"),
    [
        ("t,500,256,0,0,,0", {"cpu": "500m", "mem": "256MiB"}),
        ("t,500,0,1,460,,0", {"cpu": "500m", "cuda.shares": 460}),
        ("t,500,0,1,1000,,0", {"cpu": "500m", "cuda.device": 1}),
        ("t,0,1,8,1000,,0", {"mem": "1MiB", "cuda.device": 8}),
    ],
)
def test_a_task_asks_for_shares_or_devices(
    tmp_path: Path, row: str, slots: dict[str, str | int]
) -> None:
    [task] = read_tasks(written(tmp_path, TASKS, row))

    assert slots == task.slots


def test_tasks_come_in_the_order_of_their_creation(tmp_path: Path) -> None:
    file = written(tmp_path, TASKS, "c,1,1,0,0,,9", "a,1,1,0,0,T4|P100,3", "b,1,1,0,0,,3")

    assert ["a", "b", "c"] == [task.name for task in read_tasks(file)]
    assert "T4|P100" == read_tasks(file)[0].models


def test_columns_come_in_any_order_and_others_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(b"\xef\xbb\xbfgpu,qos,model,sn,memory_mib,cpu_milli\r\n0,LS,,n0,7,8\r\n")

    assert {"cpu": 8, "mem": 7} == read_nodes(file)[0].capacity


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["sn,cpu_milli,gpu,model"], "line 1, column memory_mib: it is missing"),
        ([""], "line 1, column sn: it is missing"),
        ([NODES, "n0,8,8,0,", "n1,-8,8,0,"], "line 3, column cpu_milli: -8 is negative"),
        ([NODES, "n0,8.5,8,0,"], "line 2, column cpu_milli: '8.5' is no whole number"),
        ([NODES, "n0,8,,0,"], "line 2, column memory_mib: '' is no whole number"),
        ([NODES, "n0,8,٣,0,"], "column memory_mib: '٣' is no whole number"),
        ([NODES, "n0,8,1_0,0,"], "column memory_mib: '1_0' is no whole number"),
        ([NODES, f"n0,{10**15},8,0,"], "column cpu_milli: 1000000000000000 is more than"),
        ([NODES, "n0,8,8,65,T4"], "column gpu: 65 is more than 64"),
        ([NODES, "n0,8"], "line 2, column memory_mib: it is missing, the line is too short"),
        ([NODES, "n 0,8,8,0,"], "column sn: 'n 0' is no name"),
        ([NODES, "n0,0,0,0,"], "column cpu_milli: the node has neither"),
        ([NODES, "n0,8,8,0,", "n0,8,8,0,"], "line 3, column sn: n0 stands there twice"),
        ([NODES, '"n0,8,8,0,'], "is no CSV file"),
    ],
)
def test_a_bad_node_is_one_sentence_with_its_place(
    tmp_path: Path, lines: list[str], says: str
) -> None:
    file = written(tmp_path, *lines)

    with pytest.raises(InvalidInput) as caught:
        read_nodes(file)

    assert str(file) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("t,8,8,1,0,,0", "column gpu_milli: it is 0, while num_gpu is 1"),
        ("t,8,8,1,1001,,0", "column gpu_milli: 1001 is more than 1000"),
        ("t,0,0,0,0,,0", "column cpu_milli: the task asks for neither"),
        ("t,8,8,0,0,,soon", "column creation_time: 'soon' is no whole number"),
        ("t\x07,8,8,0,0,,0", "column name: a name has at most"),
    ],
)
def test_a_bad_task_is_one_sentence_with_its_place(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_tasks(written(tmp_path, TASKS, row))

    assert f"line 2, {says}" in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(b"sn,\xff\xfe\x00")

    with pytest.raises(InvalidInput, match="is no CSV file"):
        read_nodes(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_nodes(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("by", "lacks", "expected"),
    [
        (
            "agents",
            ["lack cuda.device", "lack cpu"],
            "no node has room now (they lack cpu, cuda.device)",
        ),
        ("agents", ["lack cpu", "drained"], "no node has room now (they lack cpu, drained)"),
        ("concurrency", [], "concurrency: 3 of 3 run"),
    ],
)
def test_equal_refusals_are_counted_together(by: str, lacks: list[str], expected: str) -> None:
    assert expected == reason_of(Verdict.blocked(by, "3 of 3 run"), lacks)
