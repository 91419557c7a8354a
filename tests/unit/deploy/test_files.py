"""ecosystem.config.js and the systemd units: what they start exists, and is stopped in time (J8)."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from scheduler.cli.app import cli
from scheduler.settings import Settings

ROOT = Path(__file__).parents[3]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
#: Of systemd 254; Debian 12 has 252, and passes over them with a warning.
NEWER = ("RestartSteps", "RestartMaxDelaySec")


def check_words(words: Sequence[str]) -> None:
    """A command of ours with options it has, and all those it cannot do without."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest.pop(0))
        assert found is not None, words
        command = found
    options = {name: p for p in command.params for name in p.opts if isinstance(p, click.Option)}
    given = [word for word in rest if word.startswith("--")]
    assert not set(given) - set(options), words
    needed = {p.name for p in command.params if p.required}
    assert not needed - {options[name].name for name in given}, words


def directives(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_a_unit_starts_a_command_there_is_and_restarts_it(unit: Path) -> None:
    said = directives(unit)
    (start,) = said["ExecStart"]
    program, *words = shlex.split(start)

    assert "/opt/session-scheduler/.venv/bin/scheduler" == program
    check_words([word for word in words if word != "$OPTIONS"])
    assert (["on-failure"], ["2"], ["0"]) == (
        said["Restart"],
        said["RestartPreventExitStatus"],
        said["StartLimitIntervalSec"],
    )
    # Longer than a hand-over, or kernels with their grace, take.
    assert 10 <= int(said["TimeoutStopSec"][0])


def test_an_agent_ends_its_kernels_itself_and_knows_no_cluster_secret() -> None:
    said = directives(ROOT / "deploy" / "scheduler-agent@.service")

    assert ["mixed"] == said["KillMode"]
    assert ["continue"] == said["OOMPolicy"]
    assert not [file for file in said["EnvironmentFile"] if "secret" in file]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(
        unit.read_text().replace("/opt/session-scheduler/.venv/bin/scheduler", "/bin/true")
    )
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", copy],
        check=False,
        capture_output=True,
        text=True,
    )
    complaints = [line for line in told.stderr.splitlines() if unit.stem.split("@")[0] in line]

    assert not [line for line in complaints if not any(name in line for name in NEWER)]


def test_pm2_starts_commands_there_are() -> None:
    if not shutil.which("node"):
        pytest.skip("Node.js is not installed")
    ask = "console.log(JSON.stringify(require('./ecosystem.config.js')))"
    told = subprocess.run(["node", "-e", ask], cwd=ROOT, check=True, capture_output=True)
    config = json.loads(told.stdout)
    names = [app["name"] for app in config["apps"]]

    assert ["replica-1", "replica-2", "agent", "api"] == names
    assert names == [name for name, _ in config["health"]]
    for app in config["apps"]:
        check_words(app["args"])
        assert 10_000 <= app["kill_timeout"]


def test_the_table_of_settings_tells_what_their_comments_tell() -> None:
    """Of a comment of two lines, both: half a sentence about where callbacks may go is a wrong one."""
    table = (ROOT / "docs/operations.md").read_text()
    comments = re.findall(
        r"((?:^    #: .+\n)+)^    [a-z_]+: ", inspect.getsource(Settings), re.MULTILINE
    )
    whole = [" ".join(re.findall("#: (.+)", comment)) for comment in comments]

    assert len(whole) > 20
    assert [] == [text for text in whole if f" {text} |" not in table]
