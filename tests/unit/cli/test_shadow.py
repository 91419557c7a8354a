"""A shadow on the command line: given, changed, shown, taken away; bad ones are refused."""

from __future__ import annotations

import json

import pytest

from scheduler.domain.moves import Compare
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import GROUP, World

SAMPLE = {
    "at": 1_700_000_000_000,
    "session": "0" * 26,
    "kind": "elsewhere",
    "real": ["a1"],
    "shadow": ["a2"],
}
RECORD = {
    "policies": {
        "real": {
            "scheduler": "fifo",
            "scheduler_opts": {},
            "agent_selector": "concentrated",
            "agent_selector_opts": {},
        },
        "shadow": {
            "scheduler": "fifo",
            "scheduler_opts": {},
            "agent_selector": "dispersed",
            "agent_selector_opts": {"enforce_spreading_endpoint_replica": True},
        },
    },
    "since": 1_700_000_000_000,
    "until": 1_700_000_060_000,
    "counts": {"cycles": 4, "cycles_alike": 1, "same": 30, "elsewhere": 9, "only_shadow": 1},
    "samples": [SAMPLE, SAMPLE | {"kind": "only_shadow", "real": []}],
    "broken": "",
}


def test_a_shadow_is_given_changed_shown_and_taken_away(world: World, run: Run) -> None:
    """K17."""
    assert "changed, revision 2" in run("group", "set", GROUP, "--shadow-selector", "dispersed").out
    assert {"agent_selector": "dispersed", "agent_selector_opts": {}} == world.groups.get(
        GROUP
    ).shadow
    words = ("--shadow-selector-opt", "enforce_spreading_endpoint_replica=true")
    run("group", "set", GROUP, *words)
    assert {"enforce_spreading_endpoint_replica": True} == world.groups.get(GROUP).shadow[
        "agent_selector_opts"
    ]
    shown = "fifo, dispersed enforce_spreading_endpoint_replica=True"
    assert shown in run("group", "show", GROUP).out
    run("group", "set", GROUP, "--shadow-selector-opt", "enforce_spreading_endpoint_replica=null")
    assert {} == world.groups.get(GROUP).shadow["agent_selector_opts"]

    run("group", "set", GROUP, "--no-shadow")

    assert {} == world.groups.get(GROUP).shadow
    assert "shadow" not in run("group", "show", GROUP).out
    assert 5 == world.groups.read(GROUP).revision
    run("group", "rollback", GROUP, "2")
    assert "dispersed" == world.groups.get(GROUP).shadow["agent_selector"]


def test_options_alone_are_tried_with_what_is_in_force(world: World, run: Run) -> None:
    run("group", "set", GROUP, "--selector-opt", "enforce_spreading_endpoint_replica=true")

    run("group", "set", GROUP, "--shadow-selector-opt", 'slot_priority=["mem"]')

    opts = {"enforce_spreading_endpoint_replica": True, "slot_priority": ["mem"]}
    assert {"agent_selector": "concentrated", "agent_selector_opts": opts} == (
        world.groups.get(GROUP).shadow
    )


def test_how_it_differs_is_shown(world: World, run: Run) -> None:
    run("group", "set", GROUP, "--shadow-selector", "dispersed")
    unseen = run("group", "shadow", GROUP)
    world.apply(Compare(GROUP, json.dumps(RECORD)))

    found = run("group", "shadow", GROUP)

    assert (0, "") == (unseen.code, unseen.out)
    assert "has not looked yet" in unseen.err
    rows = [" ".join(row) for row in found.rows]
    assert "in force fifo, concentrated" in rows
    assert "shadow fifo, dispersed enforce_spreading_endpoint_replica=True" in rows
    assert "cycles 4, alike 1, in another order 0" in rows
    assert "placed alike 30 of 40 (75.0 %)" in rows
    assert "stopped" not in found.out
    assert rows[-2:] == [
        f"2023-11-14T22:13:20Z {'0' * 26} not then a2",
        f"2023-11-14T22:13:20Z {'0' * 26} a1 a2",
    ]
    assert {"group": GROUP, **RECORD} == run("group", "shadow", GROUP, "-o", "json").json


def test_a_shadow_that_was_stopped_says_why(world: World, run: Run) -> None:
    run("group", "set", GROUP, "--shadow-selector", "dispersed")
    stopped = RECORD | {
        "counts": {},
        "samples": [],
        "broken": "scheduler 'x' is broken: KeyError: 1",
    }
    world.apply(Compare(GROUP, json.dumps(stopped)))

    found = run("group", "shadow", GROUP).out

    assert "scheduler 'x' is broken: KeyError: 1" in found
    assert "0 of 0" in found


def test_a_group_without_a_shadow_says_how_to_get_one(world: World, run: Run) -> None:
    world.apply(Compare(GROUP, json.dumps(RECORD)))

    said = run("group", "shadow", GROUP)

    assert (4, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert f"`scheduler group set {GROUP} --shadow-scheduler NAME` gives it one" in said.err
    assert 3 == run("group", "shadow", "nosuch").code


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--shadow-scheduler", "astrology"], "There is no scheduler named 'astrology'"),
        (["--shadow-selector", "astrology"], "There is no agent selector named 'astrology'"),
        (["--shadow-scheduler-opt", "speed=9"], "fifo has no option 'speed'"),
        (["--shadow-selector-opt", "slot_priority=7"], "option 'slot_priority' of concentrated: "),
        (["--shadow-selector-opt", "slot_priority"], "is not of the form NAME=VALUE"),
        (["--shadow-selector", "dispersed", "--no-shadow"], "--no-shadow takes the shadow away"),
    ],
)
def test_a_shadow_that_cannot_be_is_refused(
    world: World, run: Run, words: list[str], says: str
) -> None:
    said = run("group", "set", GROUP, *words)

    assert (2, "") == (said.code, said.out)
    assert says in said.err
    assert (1, {}) == ((now := world.groups.read(GROUP)).revision, now.options.shadow)


def test_a_change_in_force_that_the_shadow_cannot_follow_is_refused(world: World, run: Run) -> None:
    """What the shadow does not name it takes from the group, so both are checked."""
    world.groups.configure(GROUP, {"shadow": {"agent_selector": "gone"}})

    said = run("group", "set", GROUP, "--max-rescues", "7")

    assert 2 == said.code
    assert "There is no agent selector named 'gone'" in said.err
    assert 0 == run("group", "set", GROUP, "--max-rescues", "7", "--no-shadow").code
