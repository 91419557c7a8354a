"""The benchmark as it is called: two of its measurements, small, with their keys in the JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.integration, pytest.mark.real]


def test_a_short_run_prints_a_table_and_writes_its_keys(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    names = ["ceiling", "submission"]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", *names, "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(file.read_text())
    expected = {"submit_many_per_s", "submit_one_per_s", "rq_enqueue_per_s", "submit_one_to_rq"}
    if shutil.which("redis-benchmark"):
        expected |= {"ceiling_scripts_per_s", "submit_many_to_ceiling"}
    else:
        assert "redis-tools" in done.stdout
    assert expected <= found.keys()
    assert all(found[key] > 0 for key in expected)
    assert "submit, single" in done.stdout
    assert "load average before the run" in done.stdout


def test_an_unknown_measurement_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "everything"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 2 == done.returncode
    assert "invalid choice: 'everything'" in done.stderr
