"""Placing by constraints and cluster modes: what excludes an agent, what comes first, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scheduler.cycle.modes.multi_node import MultiNode, need_of_each
from scheduler.cycle.modes.single_node import SingleNode
from scheduler.cycle.placing import word_no_room
from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.snapshot import Snapshot
from scheduler.domain.agent import AgentData
from scheduler.domain.constraints import ANYWHERE, Constraints, read_constraints
from scheduler.domain.fitting import largest_first
from scheduler.domain.request import Request, parse_request_text, request_of
from scheduler.domain.spec import SessionSpec
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    KernelAgentBinding,
    Need,
    Room,
)
from tests.unit.cycle.made import agent, policy, snapshot, table, waiting


def asks(**spec: Any) -> Request:
    """A request of a spec."""
    spec = {} if "kernels" in spec else {"slots": {"cpu": "1"}} | spec if spec else {}
    return request_of(SessionSpec(callable="a:b", **spec))


def gang(*cpus: str, **spec: Any) -> Request:
    """A multi-node request, with the cpu of each kernel."""
    kernels = [{"cpu": cpu} for cpu in cpus]
    mode = {"cluster_mode": "multi-node"} | spec
    return request_of(SessionSpec(callable="a:b", kernels=kernels, **mode))


def labelled(name: str, cpu: int = 4000, **labels: str) -> AgentData:
    return replace(agent(name, cpu), labels=labels)


def where(plan: Plan) -> list[list[str]]:
    """The agents of each placement, by kernel."""
    return [[binding.agent for binding in placement.bindings] for placement in plan.placements]


def placed(agents: Sequence[AgentData], *requests: Request, rules: Policy | None = None) -> Plan:
    made = snapshot(agents, [waiting(request) for request in requests])
    return propose(made, rules or policy(), limit=100)


def held(made: Snapshot) -> list[tuple[dict[str, int], int, dict[str, int]]]:
    """Everything that placing changes of agents."""
    return [(dict(row.free), row.kernels, dict(row.endpoints)) for row in made.agents.rows]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"labels": {"zone": "b"}}, "b1"),
        ({"labels": {"zone": "c|b", "disk": "ssd"}}, "b2"),
        ({"architecture": "aarch64"}, "arm"),
        ({"agents": ["b2", "arm"]}, "arm"),
        ({"agents": ["b2"], "labels": {"zone": "a|b"}}, "b2"),
    ],
)
def test_only_an_agent_that_meets_every_constraint_is_taken(
    spec: Mapping[str, Any], expected: str
) -> None:
    """K4."""
    agents = [
        labelled("a1", zone="a"),
        replace(labelled("arm", zone="a"), architecture="aarch64"),
        labelled("b1", zone="b"),
        labelled("b2", zone="b", disk="ssd"),
    ]

    assert [[expected]] == where(placed(agents, asks(**spec)))


def test_constraints_that_nobody_meets_end_the_session_in_words() -> None:
    """K4: the leader refuses what only constraints forbid; submit does not look at them."""
    plan = placed(
        [labelled("a1", zone="a")],
        asks(labels={"zone": "x"}),
        asks(agents=["gone"]),
        asks(architecture="riscv64"),
        asks(labels={"zone": "a"}, slots={"cpu": "16"}),
    )

    tail = "and no agent of the group has that, even when idle (of 1: 1 "
    assert {
        f"it asks for cpu=1, label zone=x, {tail}lack label zone=x)",
        f"it asks for cpu=1, only gone, {tail}not designated)",
        f"it asks for cpu=1, architecture riscv64, {tail}lack architecture riscv64)",
        f"it asks for cpu=16, label zone=a, {tail}too small)",
    } == {why for _, why in plan.impossible}


def test_what_a_drained_or_silent_agent_could_hold_waits() -> None:
    """K4: it may be undrained."""
    plan = placed([replace(labelled("a1", zone="a"), drained=True)], asks(labels={"zone": "a"}))

    assert ([], 1) == (plan.impossible, len(plan.refusals))


def test_a_group_that_grows_or_is_empty_refuses_nobody_for_ever() -> None:
    growing = placed([labelled("a1")], asks(labels={"zone": "x"}), rules=policy(grows=True))
    empty = placed([], asks(labels={"zone": "x"}), gang("1", "1"))

    assert [[], []] == [growing.impossible, empty.impossible]


def test_a_refusal_counts_agents_by_the_filter_that_excluded_them() -> None:
    """K4, K11."""
    agents = [
        *[labelled(f"x{i}", zone="b") for i in range(5)],
        *[labelled(f"y{i}", zone="a") for i in range(4)],
        *[replace(labelled(f"z{i}", zone="a"), drained=True) for i in range(3)],
        replace(labelled("q", zone="b"), drained=True),
    ]
    need = Need.of([{"cuda.shares": 500}], Constraints(labels=(("zone", ("a",)),)))

    assert (
        "no agent has cuda.shares=500 free now"
        " (of 13: 6 lack label zone=a, 4 lack cuda.shares, 3 drained)"
    ) == word_no_room([need], table(agents))


@pytest.mark.parametrize(
    ("constraints", "says"),
    [
        (Constraints(agents=("b",)), "1 not designated"),
        (Constraints(architecture="aarch64"), "1 lack architecture aarch64"),
        (Constraints(labels=(("cuda.model", ("A100", "V100")),)), "1 lack cuda.model=A100|V100"),
    ],
)
def test_each_filter_has_its_words(constraints: Constraints, says: str) -> None:
    made = table([agent("a", devices=1)])

    assert says in word_no_room([Need.of([{"cpu": 1000}], constraints)], made)


def test_only_devices_of_an_accepted_model_are_given() -> None:
    """K4: architecture 2, models are asked for by label."""
    mixed = replace(agent("mixed", devices=3), models={"cuda": "T4", "cuda.1": "A100"})
    agents = [replace(agent("old", devices=4), models={"cuda": "T4"}), mixed]
    asked = [
        asks(slots={"cuda.shares": 300}, labels={"cuda.model": "A100|H100"}),
        asks(slots={"cuda.device": 1}, labels={"cuda.model": "A100|H100"}),
    ]

    plan = placed(agents, *asked)

    assert [("mixed", {"cuda.1": 300})] == [
        (b.agent, b.slots) for p in plan.placements for b in p.bindings
    ]
    assert 1 == len(plan.refusals)


def test_two_devices_of_a_model_that_only_one_has_can_never_be_had() -> None:
    mixed = replace(agent("mixed", devices=3), models={"cuda": "T4", "cuda.1": "A100"})

    plan = placed([mixed], asks(slots={"cuda.device": 2}, labels={"cuda.model": "A100"}))

    assert 1 == len(plan.impossible)


@pytest.mark.parametrize("selector", [ConcentratedAgentSelector({}), DispersedAgentSelector({})])
def test_preferences_are_met_as_far_as_there_is_room_whatever_the_selector_wishes(
    selector: AbstractAgentSelector,
) -> None:
    """K4: preferred labels; each one met counts, and nobody is excluded."""
    agents = [
        labelled("a", 8000),
        labelled("b", 1000, disk="ssd"),
        labelled("c", 2000, disk="ssd", zone="a"),
        labelled("d", 500),
    ]
    asked = asks(preferred_labels={"disk": "ssd", "zone": "a"})

    plan = placed(agents, *[asked] * 5, rules=policy(selector))

    assert [["c"], ["c"], ["b"], ["a"], ["a"]] == where(plan)


def test_a_preferred_agent_comes_before_all_labels() -> None:
    agents = [labelled("a", disk="ssd", zone="a"), labelled("b", 1000)]
    asked = asks(agents=["b"], agents_strict=False, preferred_labels={"disk": "ssd", "zone": "a"})

    assert [["b"], ["a"]] == where(placed(agents, asked, asked))


def test_agents_on_which_a_session_just_failed_come_last() -> None:
    """K4: they are taken when there is no other."""
    sessions = [
        replace(waiting(asks(slots={"cpu": "1"})), failed_on=("a", "forgotten", "b"))
        for _ in range(3)
    ]
    made = snapshot([agent("a", 1000), agent("b", 1000), agent("c", 1000)], sessions)

    plan = propose(made, policy(), limit=100)

    assert [["c"], ["a"], ["b"]] == where(plan)
    assert not any(row.hidden for row in made.agents.rows)


def test_labels_that_change_are_seen_at_once() -> None:
    """The arrays of constraints follow agents that register anew, and agents that come later."""
    need = Need.of([{"cpu": 1000}], Constraints(labels=(("zone", ("a",)),)))
    made = table([labelled("a", zone="b")])
    before = list(made.fits(need))
    made.put(labelled("a", zone="a"), 0)
    for i in range(200):
        made.put(labelled(f"n{i}", zone="a" if i % 2 else "b"), 0)

    assert ([], [0, *range(2, 201, 2)]) == (before, list(made.fits(need)))


def test_a_limit_of_kernels_counts_what_would_be_added() -> None:
    """K4: `_filter_agent_by_container_limit`; five kernels do not pass a limit of two."""
    small = agent("a", 16_000, max_kernels=2)

    five = placed([small], request_of(SessionSpec(callable="a:b", cluster_size=5)))
    each = placed([small, agent("b", 1000)], gang("1", "1", "1"))

    assert ([], [["a", "a", "b"]]) == (where(five), [sorted(one) for one in where(each)])


def test_every_kernel_of_a_gang_is_placed_by_its_own_request() -> None:
    """K10: `schedule_multi_node_session`; large kernels first, bindings in the order of kernels."""
    agents = [agent("a", 4000), agent("b", 2000)]

    plan = placed(agents, gang("1", "4", "1"), rules=policy(DispersedAgentSelector({})))

    assert [["b", "a", "b"]] == where(plan)
    assert [0, 1, 2] == [binding.kernel for binding in plan.placements[0].bindings]


def test_a_gang_without_room_for_all_leaves_no_trace() -> None:
    """K10: all or none."""
    made = snapshot(
        [agent("a", 3000), agent("b", 3000)],
        [waiting(gang("2", "1", "2", "2", endpoint="web")), waiting(asks(slots={"cpu": "3"}))],
    )
    made.agents.take("b", {"cpu": 1000}, "other")
    before = held(made)

    plan = propose(made, policy(grows=True), limit=1)
    first = [p.session.request.cluster_mode for p in plan.placements]
    made.agents.give("a", {"cpu": 3000})

    assert (["single-node"], before) == (first, held(made))


def test_a_gang_tried_kernel_by_kernel_gives_back_what_it_took() -> None:
    """K10: each kernel finds room by itself, and still not all do."""
    made = snapshot([agent("a", 3000), agent("b", 3000)], [waiting(gang("2", "2", "1", "1.5"))])
    before = held(made)

    plan = propose(made, policy(grows=True), limit=100)
    worded = word_no_room(MultiNode().needs(gang("2", "2", "1", "1.5")), made.agents)

    assert ([], before) == (plan.placements, held(made))
    assert "there is room now for some of its 4 kernels, but not for all at a time" == worded


def test_what_a_gang_lacks_is_said_by_kernel() -> None:
    made = table([agent("a", 3000), agent("b", 3000)])
    needs = MultiNode().needs

    assert [
        "there is room for 2 of its 3 kernels that ask for cpu=2 each now",
        "no agent has cpu=4 free now (of 2: 2 lack cpu)",
    ] == [word_no_room(needs(gang(*cpus)), made) for cpus in (("2", "2", "2"), ("4", "1"))]


def test_a_gang_that_idle_agents_could_not_hold_together_is_ended() -> None:
    plan = placed(
        [agent("a", 3000), agent("b", 3000, max_kernels=1)], gang("1", "1", "1", "1", "1")
    )

    assert [
        (
            "5 of its kernels ask for cpu=1 each, and the agents of the group cannot hold so many at"
            " a time, even when idle"
        )
    ] == [why for _, why in plan.impossible]


def test_a_plan_counts_kernels_so_that_a_commit_stays_short() -> None:
    agents = [agent("a", 64_000)]

    plan = placed(agents, *[gang(*["1"] * 6)] * 4)
    short = propose(
        snapshot(agents, [waiting(gang(*["1"] * 6)) for _ in range(4)]), policy(), limit=10
    )

    assert (4, 2, True) == (len(plan.placements), len(short.placements), short.more)


def test_kernels_of_an_endpoint_are_counted_where_they_run() -> None:
    made = snapshot(
        [agent("a", 2000), agent("b", 1000)], [waiting(gang("1", "1", "1", endpoint="web"))]
    )

    plan = propose(made, policy(), limit=100)

    assert 1 == len(plan.placements)
    assert [2, 1] == [made.agents.kernels_of_endpoint(i, "web") for i in (0, 1)]


def test_equal_kernels_share_a_need_and_the_largest_come_first() -> None:
    request = request_of(
        SessionSpec(
            callable="a:b",
            cluster_mode="multi-node",
            kernels=[{"cpu": 1}, {"cuda.shares": 5}, {"cpu": 2}, {"cuda.device": 1}, {"cpu": 1}],
        )
    )
    needs = need_of_each(request)

    assert needs[0] is needs[4]
    assert [3, 1, 2, 0, 4] == largest_first([need.slots for need in needs])


class Broken(AbstractClusterMode):
    """Takes room, and then does what it must not."""

    name: ClassVar[str] = "broken"

    def needs(self, request: Request) -> Sequence[Need]:
        return need_of_each(request)

    def schedule(
        self,
        needs: Sequence[Need],
        room: Room,
        selector: AbstractAgentSelector,  # noqa: ARG002 - it asks nobody
    ) -> Sequence[KernelAgentBinding] | None:
        found = room.take(0, needs[0], [0])
        if needs[0].slots["cpu"] == 1000:
            raise RuntimeError("no idea")
        return found


def test_a_broken_mode_is_named_takes_nothing_and_stops_nobody() -> None:
    """K19."""
    modes = {mode.name: mode for mode in (SingleNode(), Broken())}
    made = snapshot(
        [agent("a", 8000)],
        [
            waiting(gang("1", "2", cluster_mode="broken")),
            waiting(gang("2", "2", cluster_mode="broken")),
            waiting(gang("1", cluster_mode="ring")),
            waiting(asks(slots={"cpu": "8"})),
        ],
    )

    plan = propose(made, replace(policy(), modes=modes), limit=100)

    assert [["a"]] == where(plan)
    assert [
        "cluster mode 'broken' is broken: RuntimeError: no idea",
        "cluster mode 'broken' is broken: ValueError: it did not bind every kernel exactly once",
        "cluster mode 'ring' is not installed where the group is led; installed are: broken, single-node",
    ] == sorted(verdict.reason for verdict in plan.refusals.values())


def test_constraints_are_part_of_a_request_and_read_back() -> None:
    """Equal wishes are one request, however they were written; those without any read as before."""
    spec: dict[str, Any] = {"architecture": "x86_64", "agents": ["b", "a"], "endpoint": "web"}
    one = asks(labels={"zone": "b|a", "cuda.model": "T4"}, preferred_labels={"d": "x"}, **spec)
    two = asks(labels={"cuda.model": "T4", "zone": "a|b|a"}, preferred_labels={"d": "x"}, **spec)

    assert one == two
    assert one.constraints == parse_request_text(one.text).constraints
    assert one.constraints == read_constraints(one.constraints.as_json())
    assert {"cuda": frozenset({"T4"})} == one.constraints.models
    assert (ANYWHERE, False) == (asks().constraints, "constraints" in asks().text)
    assert (
        "label cuda.model=T4, label zone=a|b, rather label d=x, architecture x86_64, only a or b,"
        " endpoint web"
    ) == one.constraints.says()


@pytest.mark.parametrize(
    ("request_", "need"),
    [
        (gang("1", "4", "2"), {"cpu": 1000}),
        (gang("3"), {"cpu": 3000}),
        (gang("1", "4", "2", cluster_mode="single-node"), {"cpu": 7000}),
    ],
)
def test_submits_are_measured_by_what_no_kernel_can_do_without(
    request_: Request, need: dict[str, int]
) -> None:
    """Never more than is needed: submit refuses by it for good."""
    assert need == request_.need
