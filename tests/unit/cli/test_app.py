"""The root command: contributed commands, completion."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from scheduler.cli import app as app_module
from scheduler.cli.app import cli
from scheduler.domain.states import SessionState as S
from scheduler.store.keys import Keys
from tests.unit.cli.conftest import Run, said
from tests.unit.store.lives import World


@click.group()
def agent() -> None:
    """Contributed."""


@agent.command("run")
@click.pass_context
def run_(ctx: click.Context) -> None:
    click.echo(f"runs with {ctx.obj}")


@agent.command("list")
def list_() -> None:
    click.echo("not ours")


@click.command()
def extra() -> None:
    click.echo("extra")


NO_COMMAND = 3


@pytest.fixture
def contribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this module, and some that are broken."""
    found = EntryPoints(
        EntryPoint(name, value, "scheduler.commands")
        for name, value in {
            "agent": f"{__name__}:agent",
            "extra": f"{__name__}:extra",
            "broken": "no.such.module:command",
            "wrong": f"{__name__}:NO_COMMAND",
            "leader": "no.such.module:leader",
            "doctor": f"{__name__}:extra",
        }.items()
    )
    sys.modules.setdefault(__name__, importlib.import_module(__name__))
    monkeypatch.setattr(app_module, "entry_points", found.select)


@pytest.mark.usefixtures("contribute")
def test_a_contributed_group_is_merged_with_ours(run: Run, keys: Keys) -> None:
    help_ = run("agent", "--help").out

    for name in ("run", "list", "drain"):
        assert name in [line.split()[0] for line in help_.splitlines() if line.startswith("  ")]
    assert f"runs with {{'redis': None, 'namespace': '{keys.root}'}}\n" == run("agent", "run").out


@pytest.mark.usefixtures("contribute")
def test_our_commands_win(world: World, run: Run) -> None:
    _ = world

    assert "a1" in run("agent", "list").out
    assert "extra" != run("doctor").out.strip()


@pytest.mark.usefixtures("contribute")
def test_a_contributed_command_stands_beside_ours(run: Run) -> None:
    assert "extra" in run("--help").out
    assert "extra\n" == run("extra").out


@pytest.mark.usefixtures("contribute")
@pytest.mark.parametrize("name", ["broken", "wrong"])
def test_a_contribution_that_is_none_is_one_sentence(run: Run, name: str) -> None:
    left = run(name)

    assert (2, "", 1) == (left.code, left.out, left.err.count("\n"))
    assert left.err.startswith(f"Bad setting command {name}: ")


@pytest.mark.usefixtures("contribute")
def test_a_broken_contribution_does_not_take_ours_away(world: World, run: Run) -> None:
    _ = world

    left = run("leader", "show")

    assert 0 == left.code
    assert "cannot be imported" in left.err


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_is_printed(run: Run, shell: str) -> None:
    left = run("completion", shell)

    assert 0 == left.code
    assert "_SCHEDULER_COMPLETE" in left.out


@pytest.mark.real
def test_ids_are_completed_from_redis(world: World) -> None:
    session = world.into(S.RUNNING)
    world.into(S.SUCCEEDED)
    facts = world.client.connection_pool.connection_kwargs
    url = f"redis://{facts['host']}:{facts['port']}/0"
    words = ["--redis", url, "--namespace", world.keys.root]

    assert [session] == _complete([*words, "session", "show"], "0")
    assert ["a1"] == _complete([*words, "agent", "drain"], "a")
    assert ["default"] == _complete([*words, "session", "list", "--group"], "")
    assert ["RUNNING"] == _complete(["session", "list", "--state"], "ru")


def test_completion_without_redis_offers_nothing() -> None:
    assert [] == _complete(["--redis", "redis://127.0.0.1:1/0", "session", "show"], "")


def _complete(words: list[str], incomplete: str) -> list[str]:
    shell = ShellComplete(cli, {}, "scheduler", "_SCHEDULER_COMPLETE")
    return [item.value for item in shell.get_completions(words, incomplete)]


def test_the_version_needs_no_redis() -> None:
    left = CliRunner().invoke(cli, ["--redis", "redis://127.0.0.1:1/0", "completion", "fish"])

    assert 0 == said(left).code
