"""`scheduler replay --saturate` and `--timed`: policies compared on a snapshot, without Redis."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from scheduler.cli.app import cli

NODES = "sn,cpu_milli,memory_mib,gpu,model"
TASKS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time,deletion_time,scheduled_time"

pytestmark = [pytest.mark.integration]


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two nodes of two GPUs; six tasks that ask for one each, ten seconds apart, and run for 100 s."""
    monkeypatch.delenv("SCHEDULER_REDIS_URL", raising=False)
    nodes = [f"n{n},8000,16384,2,T4" for n in range(2)]
    tasks = [f"t{n},1000,128,1,1000,,{10 * n},{10 * n + 130},{10 * n + 30}" for n in range(6)]
    (tmp_path / "nodes.csv").write_text("\n".join([NODES, *nodes]))
    (tmp_path / "tasks.csv").write_text("\n".join([TASKS, *tasks]))
    return ["--nodes", str(tmp_path / "nodes.csv"), "--tasks", str(tmp_path / "tasks.csv")]


def replayed(trace: list[str], *words: str) -> Result:
    return CliRunner().invoke(cli, ["replay", *trace, *words])


def found(said: Result) -> dict[str, Any]:
    assert 0 == said.exit_code, said.output
    return cast("dict[str, Any]", json.loads(said.stdout))


def test_saturating_compares_every_installed_selector_with_the_published_descent(
    trace: list[str],
) -> None:
    """X13."""
    said = found(replayed(trace, "--saturate", "1.3", "--seed", "7", "-o", "json"))

    selectors = {one["selector"]: one for one in said["selectors"]}
    assert {
        *("concentrated", "dispersed", "fragmentation", "legacy", "roundrobin"),
        "fragmentation:cpu_shortage=0,model_pressure=0",
    } == selectors.keys()
    for one in selectors.values():
        # Four whole GPUs, each task takes one: all are given at load 1.0, and the sixth is dropped.
        marks = {"0.8": 100.0, "0.9": 100.0, "1.0": 100.0, "1.1": 100.0, "1.2": 100.0, "1.3": 100.0}
        assert marks == one["allocated"]
        assert (6, 2) == (one["drawn"], one["dropped"])
    assert "no Redis is asked" in said["note"]


def test_the_same_seed_draws_the_same_tasks(trace: list[str]) -> None:
    words = ("--saturate", "0.9", "--selector", "roundrobin", "-o", "json", "--seed")
    first, again = (found(replayed(trace, *words, "3"))["selectors"][0] for _ in range(2))

    assert {**first, "cpu_us": 0} == {**again, "cpu_us": 0}
    assert ["0.8", "0.9"] == list(first["allocated"])


def test_the_table_names_what_it_shows(trace: list[str]) -> None:
    said = replayed(trace, "--saturate", "1", "--selector", "fragmentation:cpu_shortage=0")

    assert 0 == said.exit_code
    assert "GPU ALLOCATED, %" in said.stdout
    assert "fragmentation:cpu_shortage=0" in said.stdout
    assert "no Redis is asked" in said.stdout


def test_timed_tells_waiting_times_and_how_full_it_was(trace: list[str]) -> None:
    """Four GPUs: the fifth task, of second 40, waits for second 100; the sixth for second 110."""
    said = found(replayed(trace, "--timed", "--selector", "concentrated", "-o", "json"))

    [played] = [one for one in said["policies"] if one["scheduler"] == "fifo"]
    assert (6, 2) == (played["placed"], played["waited"])
    assert (0.0, 60.0) == (played["wait_p50"], played["wait_p95"])
    assert (20.0, 60.0) == (played["wait_mean"], played["wait_longest"])
    assert 100.0 == played["allocation"]
    # 1, 2, 3 of 4 GPUs for ten seconds each, then all four for twenty, of fifty seconds.
    assert 70.0 == played["utilization"]


def test_tasks_that_arrive_more_slowly_wait_less(trace: list[str]) -> None:
    said = found(replayed(trace, "--timed", "--speed", "0.25", "-o", "json"))

    assert {0} == {one["waited"] for one in said["policies"]}


def test_half_of_the_nodes_are_a_fuller_cluster(trace: list[str]) -> None:
    said = replayed(trace, "--timed", "--every", "2", "--selector", "legacy")

    line = next(line.split() for line in said.stdout.splitlines() if "legacy" in line)
    assert ["6", "0", "4"] == line[2:5]


@pytest.mark.parametrize("mode", [["--saturate", "1"], ["--timed"]])
def test_a_chart_is_drawn(trace: list[str], tmp_path: Path, mode: list[str]) -> None:
    chart = tmp_path / "chart.png"

    said = replayed(trace, *mode, "--selector", "legacy", "--png", str(chart))

    assert 0 == said.exit_code, said.output
    assert b"\x89PNG" == chart.read_bytes()[:4]


def test_without_matplotlib_it_says_what_to_install(
    trace: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    said = replayed(trace, "--saturate", "1", "--png", str(tmp_path / "chart.png"))

    assert 4 == said.exit_code
    assert "a chart needs matplotlib, which is not installed" in said.stderr
    assert "pip install 'session-scheduler[bench]'" in said.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--saturate", "1", "--timed"], "are two ways to compare; choose one"),
        (["--saturate", "1", "--scheduler", "fifo"], "there --scheduler says nothing"),
        (["--saturate", "1", "--selector", "best"], "There is no agent selector named 'best'"),
        (["--saturate", "1", "--selector", "legacy:a=1"], "legacy has no option 'a'; there are"),
        (["--timed", "--scheduler", "best"], "There is no scheduler named 'best'"),
        (["--saturate", "1", "--selector", "legacy:x"], "'x' is not of the form NAME=VALUE"),
        (
            ["--selector", "legacy", "--selector", "dispersed"],
            "compared with --saturate or --timed",
        ),
        (["--png", "x.png"], "--png draws a comparison"),
        (["--saturate", "0"], "0.0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(trace: list[str], words: list[str], says: str) -> None:
    said = replayed(trace, *words)

    assert 2 == said.exit_code
    assert says in said.stderr


def test_a_list_without_ends_cannot_be_played_in_time(trace: list[str]) -> None:
    Path(trace[3]).write_text(f"{TASKS}\nforever,1000,128,1,1000,,0,,\n")

    said = replayed(trace, "--timed")

    assert 2 == said.exit_code
    assert "task 'forever' does not say how long it ran" in said.stderr


def test_a_cluster_without_gpus_cannot_be_saturated(trace: list[str]) -> None:
    Path(trace[1]).write_text(f"{NODES}\nn0,8000,16384,0,\n")

    said = replayed(trace, "--saturate", "1")

    assert 2 == said.exit_code
    assert "the nodes or the tasks have no GPU" in said.stderr
