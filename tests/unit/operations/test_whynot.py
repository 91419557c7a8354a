"""Why not on this agent: the sentence, the hint, the smallest change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.cycle.modes.multi_node import MultiNode
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.domain.agent import AgentData
from scheduler.domain.obstacles import Asked
from scheduler.domain.request import Request, request_of
from scheduler.domain.slots import DEVICE
from scheduler.domain.spec import SessionSpec
from scheduler.operations.whynot import (
    AgentAnswer,
    Glimpse,
    Holder,
    answer,
    asked_of,
    least_miss,
    nearest,
)
from tests.unit.cycle.made import agent

MODES = {mode.name: mode for mode in (SingleNode(), MultiNode())}


def asked(**said: object) -> Asked:
    request: Request = request_of(SessionSpec(callable="a:b", **said))  # type: ignore[arg-type]
    return asked_of(MODES[request.cluster_mode].needs(request), request.cluster_mode)


def full(*holders: Holder, **changes: object) -> AgentData:
    """An agent of 4 cores, 8 GiB and 2 devices on which these sessions run."""
    made = agent("a7", devices=2)
    free = dict(made.free)
    for holder in holders:
        free = {slot: left - holder.slots.get(slot, 0) for slot, left in free.items()}
    return replace(made, free=free, **changes)  # type: ignore[arg-type]


def why(wanted: Asked, *holders: Holder, **changes: object) -> AgentAnswer:
    kernels = sum(holder.kernels for holder in holders)
    return answer(wanted, full(*holders, **changes), kernels=kernels, holders=holders)


SMALL = Holder("small", {"cpu": 500, "mem": 1_024}, 1)
MIDDLE = Holder("middle", {"cpu": 1_000, "mem": 2_048}, 1)
LARGE = Holder("large", {"cpu": 2_000, "mem": 4_096}, 2)


def test_an_agent_with_room_says_so() -> None:
    found = why(asked(slots={"cpu": "1"}), SMALL)

    assert ("agent a7 has room for it now", (), "", 1) == (
        found.says,
        found.changes,
        found.hint,
        found.fits,
    )


def test_the_smallest_session_whose_end_makes_room_is_named() -> None:
    """X3."""
    found = why(asked(slots={"mem": "3GiB"}), SMALL, MIDDLE, LARGE)

    assert "agent a7 lacks mem 2 GiB (asked 3 GiB, free 1 GiB of 8 GiB)" == found.says
    assert ("session middle ends, which holds cpu 1, mem 2 GiB there",) == found.changes
    assert "it would fit there if the agent were idle" == found.hint


def test_two_are_named_where_no_single_one_is_enough() -> None:
    found = why(asked(slots={"mem": "6GiB"}), SMALL, MIDDLE, LARGE)

    assert ["session small ends", "session large ends"] == [
        change.partition(",")[0] for change in found.changes
    ]


def test_as_many_as_are_needed_are_named_where_many_run() -> None:
    each = [Holder(f"s{number}", {"cuda.0": 250}, 1) for number in range(4)]

    found = why(asked(slots={"cuda.device": 2}), *each, SMALL)

    assert [f"session s{n} ends, which holds cuda 0.25 there" for n in range(4)] == sorted(
        found.changes
    )


def test_who_must_end_for_a_kernel_more_is_named() -> None:
    found = why(asked(slots={"cpu": "1"}), SMALL, LARGE, max_kernels=3)

    assert ("session small ends, which holds cpu 0.5, mem 1 GiB there",) == found.changes


def test_what_no_end_cures_is_said_beside_who_must_end() -> None:
    found = why(asked(slots={"mem": "2GiB"}), SMALL, MIDDLE, LARGE, drained=True)

    assert (
        "agent a7 is drained and lacks mem 1 GiB (asked 2 GiB, free 1 GiB of 8 GiB)" == found.says
    )
    assert "it is undrained: `scheduler agent undrain a7`" == found.changes[0]
    assert found.changes[1].startswith("session small ends")


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        (asked(slots={"cpu": "8"}), "the agent is too small for it, even idle"),
        (asked(slots={"cpu": "4"}), "it would fit there if the agent were idle"),
        (
            asked(slots={"cpu": "3"}, cluster_size=2),
            "even idle the agent holds 1 of its 2 kernels",
        ),
    ],
)
def test_whether_waiting_helps_is_said(wanted: Asked, hint: str) -> None:
    assert hint == why(wanted, LARGE).hint


def test_kernels_of_a_gang_that_fit_are_counted_and_the_rest_may_go_elsewhere() -> None:
    gang = asked(cluster_mode="multi-node", slots={"cpu": "1"}, cluster_size=4)

    found = why(gang, LARGE)

    assert (2, 4, 4) == (found.fits, found.kernels, found.fits_idle)
    assert ("the other 2 kernels find room on other agents, or kernels there end",) == found.changes


def test_an_agent_on_which_it_failed_comes_last_and_says_so() -> None:
    found = answer(asked(), agent("a7"), kernels=0, failed_on=["a7"])

    assert ("an earlier attempt failed there, so other agents come first",) == found.notes


def unread(data: AgentData) -> Glimpse:
    """As if nothing were known of it before it is read."""
    return Glimpse(data.id, (0, 0.0), lambda: data)


def test_only_those_that_may_be_nearest_are_read() -> None:
    """X3: of thousands of agents, a few."""
    read: list[str] = []

    def of(name: str, cpu: int) -> Glimpse:
        data = agent(name, free={"cpu": cpu, "mem": 8192})
        record = {"status": "ready", "free:cpu": str(cpu), "free:mem": "8192"}

        def whole() -> AgentData:
            read.append(name)
            return data

        return Glimpse(name, least_miss(wanted, record), whole)

    wanted = asked(slots={"cpu": "4"})

    found = nearest(wanted, [of(f"a{free:04}", free) for free in range(3_000)], {}, 2)

    assert ["a2999", "a2998"] == [each.agent for each in found] == read


def test_only_the_nearest_are_answered_for() -> None:
    """X3: nearest miss first."""
    wanted = asked(slots={"cpu": "4", "cuda.device": 1})
    agents = [
        agent("far", 2_000),
        agent("near", devices=2, free={"cpu": 3_900, "cuda.0": DEVICE}),
        agent("nearer", devices=2, free={"cpu": 3_950, "cuda.0": DEVICE}),
        agent("drained", devices=1, drained=True),
        agent("full", devices=1, max_kernels=1),
    ]

    found = nearest(wanted, map(unread, agents), {"full": 1}, 4)

    assert ["nearer", "near", "drained", "full"] == [each.agent for each in found]


def test_an_answer_is_plain_data_for_machines() -> None:
    found = why(asked(slots={"mem": "3GiB"}), LARGE, MIDDLE, SMALL).as_dict()

    assert ("slot", "mem", 3_072, 1_024, 8_192, 2_048, True) == tuple(
        found["obstacles"][0][name]
        for name in ("kind", "name", "asked", "free", "total", "short", "passes")
    )
    assert (1, 0, 1, []) == (
        found["kernels"],
        found["fits"],
        found["fits_idle"],
        found["notes"],
    )
