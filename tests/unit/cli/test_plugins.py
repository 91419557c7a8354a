"""Plugins that cannot be used, named to `scheduler group`: one sentence each, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.plugins import loading
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World

HERE = __name__
S, A = loading.SCHEDULERS, loading.SELECTORS


class Raising(FifoScheduler):
    def __init__(self, opts: Mapping[str, Any]) -> None:
        raise RuntimeError(f"no luck with\n{len(opts)} options")


#: What is installed beside the plugins of the project.
MORE = [
    EntryPoint("absent", "acme.nowhere:Absent", S),
    EntryPoint("absent", "acme.nowhere:Absent", A),
    EntryPoint("misspelled", f"{HERE}:Rasing", S),
    EntryPoint("raising", f"{HERE}:Raising", S),
    EntryPoint("dict", "builtins:dict", S),
    EntryPoint("other", "scheduler.cycle.sequencers.fifo:FifoScheduler", S),
    EntryPoint("twice", "acme.one:Twice", S),
    EntryPoint("twice", "acme.two:Twice", S),
    EntryPoint("twice", "acme.one:Twice", A),
    EntryPoint("twice", "acme.two:Twice", loading.SEED_SELECTORS),
    EntryPoint("seedless", "builtins:dict", loading.SEED_SCHEDULERS),
]
BAD = [
    (["--scheduler", "astrology"], "There is no scheduler named 'astrology'; installed are: "),
    (["--selector", "astrology"], "There is no agent selector named 'astrology'; installed are: "),
    (
        ["--scheduler-opt", "speed=9"],
        "fifo has no option 'speed'; there are: ageing, num_retries_to_skip",
    ),
    (["--selector-opt", "speed=9"], "concentrated has no option 'speed'; there are: "),
    (["--selector-opt", "slot_priority=7"], "option 'slot_priority' of concentrated: "),
    (
        ["--selector-opt", "enforce_spreading_endpoint_replica=perhaps"],
        "option 'enforce_spreading_endpoint_replica' of concentrated: ",
    ),
    (
        ["--scheduler", "absent"],
        "plugin 'absent' (acme.nowhere:Absent) cannot be imported: ModuleNotFoundError: ",
    ),
    (
        ["--selector", "absent"],
        "plugin 'absent' (acme.nowhere:Absent) cannot be imported: ModuleNotFoundError: ",
    ),
    (["--scheduler", "misspelled"], "cannot be imported: AttributeError: "),
    (["--scheduler", "raising"], "cannot be made: RuntimeError: no luck with 0 options"),
    (["--scheduler", "dict"], "(builtins:dict): the plugin is no AbstractScheduler"),
    (["--scheduler", "other"], "must have that as its name, too, got 'fifo'"),
    (["--scheduler", "twice"], "two plugins are called 'twice': acme.one:Twice, acme.two:Twice"),
    (["--selector", "twice"], "two plugins are called 'twice': acme.one:Twice, acme.two:Twice"),
    (["--scheduler", "seedless"], "Bad setting seedless: it has no method pick_session()"),
]


@pytest.fixture
def world(world: World, plugins: EntryPoints, monkeypatch: pytest.MonkeyPatch) -> World:
    """A namespace, with more plugins installed than the project's."""
    monkeypatch.setattr(loading, "entry_points", EntryPoints([*plugins, *MORE]).select)
    return world


@pytest.mark.parametrize(("words", "says"), BAD)
@pytest.mark.parametrize("verb", [["create", "gpu"], ["set", "default"]])
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    world: World, run: Run, verb: list[str], words: list[str], says: str
) -> None:
    """K1, K19."""
    before = world.groups.read("default")

    said = run("group", *verb, *words)

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert (["default"], before) == (world.groups.names(), world.groups.read("default"))


def test_a_group_whose_plugin_is_gone_is_given_another(world: World, run: Run) -> None:
    world.groups.configure("default", {"scheduler": "absent", "scheduler_opts": {"speed": 9}})

    refused = run("group", "set", "default", "--max-rescues", "4")
    set_ = run("group", "set", "default", "--scheduler", "fifo")

    assert (2, 0) == (refused.code, set_.code)
    assert ("fifo", {}, 3) == (
        (now := world.groups.get("default")).scheduler,
        now.scheduler_opts,
        now.max_rescues,
    )
