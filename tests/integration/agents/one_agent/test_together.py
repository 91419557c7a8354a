"""Kernels that were handed to a warm child together: each is as if it were alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scheduler.protocol.report import KernelReport
from tests.integration.agents.stage import Leader, wait_for

pytestmark = pytest.mark.integration


def start(leader: Leader, calls: Sequence[tuple[str, list[Any]]]) -> list[str]:
    """Order kernels that are claimed at once; their order ids."""
    made = [
        leader.order({"callable": f"work:{name}", "args": args, "kwargs": {}})
        for name, args in calls
    ]
    ids = [order.id for order, _ in made]
    with leader.client.pipeline() as pipe:
        for order, text in made:
            pipe.hset(leader.keys.orders(order.agent), order.id, text)
        pipe.rpush(leader.keys.rq_queue(made[0][0].agent), *ids)
        pipe.execute()
    return ids


def run(leader: Leader, calls: Sequence[tuple[str, list[Any]]]) -> list[KernelReport]:
    """Order kernels at once and wait for their ends."""
    return [leader.end(order) for order in start(leader, calls)]


def get_brief(leader: Leader) -> None:
    """Until kernels of this agent are known to be brief: several of them ran in one child."""

    def together() -> bool:
        ended = run(leader, [("where", [])] * 8)
        return len({json.loads(each.result or "{}")["pid"] for each in ended}) < len(ended)

    wait_for(together, "no two kernels shared a child")


def test_each_output_is_the_kernels_own(leader: Leader) -> None:
    """Of silent ones, of some that print little, much, by another process, and at their very end."""
    get_brief(leader)
    kernels: list[tuple[str, list[Any], str, str]] = []
    for number in range(6):
        kernels += [
            ("nothing", [], "", ""),
            ("say", [f"n{number}"], f"n{number}\n", f"n{number}\n"),
            ("flood", [200_000], ("x" * 99 + "\n") * 2_000, ""),
            ("shell", [f"echo s{number}"], f"s{number}\n", ""),
            ("leave", [f"bye {number}"], "", f"bye {number}\n"),
        ]

    orders = start(leader, [(name, args) for name, args, _, _ in kernels])
    ends = [leader.end(order).reason for order in orders]

    for order, (name, _, out, err) in zip(orders, kernels, strict=True):
        assert (out, err) == (leader.log(order), leader.log(order, "stderr")), name
    assert ["exited"] * len(kernels) == ends
    assert ["claimed", "up", "ended"] == [str(said.kind) for said in leader.said_of(orders[7])]


def test_one_that_takes_long_keeps_no_other_waiting(leader: Leader, tmp_path: Path) -> None:
    get_brief(leader)
    marker = tmp_path / "ran"
    others = [("once", [str(marker)])] * 3

    first, long, *rest = start(leader, [("nothing", []), ("wait", []), *others])
    ended = [leader.end(order).reason for order in [first, *rest]]
    leader.stop(long)

    assert ["exited"] * 4 == ended
    assert "stopped" == leader.end(long).reason
    assert ["ran"] * 3 == marker.read_text().split()


def test_a_stop_ends_one_and_no_other(leader: Leader, tmp_path: Path) -> None:
    """Whether the child has come to it or not."""
    get_brief(leader)
    marker = tmp_path / "ran"
    orders = start(leader, [("once", [str(marker)]), ("wait", []), ("wait", [])])
    leader.stop(orders[1])
    leader.stop(orders[2])

    assert ["exited", "stopped", "stopped"] == [leader.end(order).reason for order in orders]
    assert ["ran"] == marker.read_text().split()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (("die", [signal.SIGKILL]), "killed"),
        (("thread", []), "exited"),
        (("child", []), "exited"),
        (("close_files", []), "exited"),
    ],
)
def test_what_one_does_to_its_child_harms_no_other(
    leader: Leader, tmp_path: Path, bad: tuple[str, list[Any]], reason: str
) -> None:
    get_brief(leader)
    marker = tmp_path / "ran"
    others = [("once", [str(marker)])] * 3

    ended = run(leader, [*others, bad, *others])

    assert ["exited"] * 3 + [reason] + ["exited"] * 3 == [each.reason for each in ended]
    assert 6 == len(marker.read_text().split())
