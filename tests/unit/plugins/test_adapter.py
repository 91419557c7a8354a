"""Schedulers and selectors of the seeds in a cycle of ours: what they see, and what their answers do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from scheduler.cycle.plan import Plan
from scheduler.cycle.scheduler import Policy, propose
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.ids import new_session_id, submitted_ms
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.plugins.adapter import adapt_scheduler, adapt_selector
from scheduler.plugins.seeds import (
    SeedAgent,
    SeedAgentSelector,
    SeedKernel,
    SeedScheduler,
    SeedSession,
    SeedWork,
)
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

OPTS = ScalingGroupOpts(scheduler_opts={"depth": 3})


class Drf:
    """A dominant share as the seeds have it, of no class of ours: the least share of the largest slot first."""

    def __init__(self, sgroup_opts: ScalingGroupOpts, config: Mapping[str, Any]) -> None:
        self.given = (sgroup_opts, dict(config))
        self.shares: dict[str, float] = {}
        self.capacity: Mapping[str, int] = {}
        self.updated: list[SeedSession] = []

    def pick_session(
        self,
        total_capacity: Mapping[str, int],
        pending_sessions: Sequence[SeedSession],
        existing_sessions: Sequence[SeedSession],
    ) -> str | None:
        self.capacity, self.shares = total_capacity, {}
        for session in existing_sessions:
            share = max(v / total_capacity[k] for k, v in session.occupying_slots.items())
            self.shares[session.access_key] = self.shares.get(session.access_key, 0) + share
        least = min(pending_sessions, key=lambda s: (self.shares.get(s.access_key, 0), s.id))
        return least.session_id

    def update_allocation(self, scheduled_session: SeedSession) -> None:
        self.updated.append(scheduled_session)


class Lifo(SeedScheduler):
    """Bands by priority, and the newest of a band first."""

    def prioritize(self, pending_sessions: Sequence[SeedSession]) -> Any:
        top = max(session.priority for session in pending_sessions)
        return top, [session for session in pending_sessions if session.priority == top]

    def pick_session(
        self,
        total_capacity: Mapping[str, int],  # noqa: ARG002 - the seeds' signature
        pending_sessions: Sequence[SeedSession],
        existing_sessions: Sequence[SeedSession],  # noqa: ARG002 - the seeds' signature
    ) -> str | None:
        return pending_sessions[-1].id


class Told(SeedScheduler):
    """Does what a test tells it."""

    pick: ClassVar[Callable[..., Any]]

    def pick_session(
        self,
        total_capacity: Mapping[str, int],  # noqa: ARG002 - the seeds' signature
        pending_sessions: Sequence[SeedSession],
        existing_sessions: Sequence[SeedSession],  # noqa: ARG002 - the seeds' signature
        context: Any = None,
    ) -> str | None:
        picked: str | None = type(self).pick(pending_sessions, context)
        return picked


def telling(pick: Callable[..., Any]) -> type[Told]:
    return type("Told", (Told,), {"pick": staticmethod(pick)})


def by(made: Callable[..., Any]) -> Policy:
    return replace(policy(), scheduler=adapt_scheduler(made, "seed", OPTS, {}))


def names(plan: Plan) -> list[str]:
    return [placement.session.id for placement in plan.placements]


def of(key: str, name: str, cpu: str = "1", **more: Any) -> Any:
    return waiting(request(cpu, keypair=key), name=name, **more)


def running(name: str, key: str, cpu: str) -> PlacedSession:
    asked = request(cpu, keypair=key)
    kernel = PlacedKernel(0, KernelState.UP, "a", "b", dict(asked.kernels[0]))
    return PlacedSession(name, SessionState.RUNNING, asked, "p", (kernel,), priority=30)


def test_a_class_of_the_seeds_orders_a_cycle_by_what_is_placed() -> None:
    """K21: total capacity, pending, existing; what it picks is placed, and it is told so."""
    plugins: list[Drf] = []

    def made(sgroup_opts: ScalingGroupOpts, config: Mapping[str, Any]) -> Drf:
        plugins.append(Drf(sgroup_opts, config))
        return plugins[-1]

    sessions = [of("rich", f"r{i}", seq=i) for i in range(3)]
    sessions += [of("poor", f"p{i}", seq=9 + i) for i in range(3)]
    view = snapshot([agent("a", 9_000)], sessions)
    view.existing = lambda: [running("old", "rich", "2")]
    rules = replace(policy(), scheduler=adapt_scheduler(made, "drf", OPTS, {"colour": "red"}))

    plan = propose(view, rules, limit=10)

    plugin = plugins[0]
    assert ["p0", "p1", "p2", "r0", "r1", "r2"] == names(plan)
    assert ((OPTS, {"colour": "red"}), {"cpu": 9_000, "mem": 8_192}) == (
        plugin.given,
        dict(plugin.capacity),
    )
    assert (names(plan), {"SCHEDULED"}) == (
        [session.id for session in plugin.updated],
        {session.status for session in plugin.updated},
    )


def test_what_the_last_cycle_placed_counts_while_its_commit_is_under_way() -> None:
    view = snapshot([agent("a", 9_000)], [of("k", "k0", seq=1), of("other", "o0", "2", seq=2)])
    rules = by(Drf)

    propose(view, rules, limit=1)
    propose(view, rules, limit=1)
    for session in (of("k", "k1", "1.5", seq=3), of("other", "o1", "1.5", seq=4)):
        view.waiting.add(session)
    view.existing = lambda: [running("k0", "k", "1")]

    assert ["k1"] == names(propose(view, rules, limit=1))


def test_only_the_first_band_is_prioritized_and_the_others_still_come() -> None:
    """What the seeds' schedulers starve is tried, too."""
    sessions = [of(f"k{i}", f"s{i}", seq=i, priority=10 + 80 * (i % 2)) for i in range(4)]

    plan = propose(snapshot([agent("a", 9_000)], sessions), by(Lifo), limit=10)

    assert ["s3", "s1", "s2", "s0"] == names(plan)


def test_equal_requests_keep_their_order_and_a_successor_is_pending_at_once() -> None:
    sessions = [waiting(name=f"s{i}", seq=i) for i in range(3)]

    assert ["s0", "s1", "s2"] == names(
        propose(snapshot([agent("a", 9_000)], sessions), by(Lifo), limit=10)
    )


def test_a_band_that_is_passed_over_waits_for_the_next_cycle() -> None:
    view = snapshot(
        [agent("a", 9_000)], [of("k", "low", seq=1), of("l", "high", seq=2, priority=90)]
    )

    class Picky(Lifo):
        def pick_session(self, *given: Any) -> str | None:
            return None if given[1][0].id == "high" else super().pick_session(*given)

    assert ["low"] == names(propose(view, by(Picky), limit=10))
    assert {"high"} == view.waiting.ids()


def test_who_prioritizes_nobody_places_nobody() -> None:
    class Nobody(Lifo):
        def prioritize(self, pending_sessions: Sequence[SeedSession]) -> Any:  # noqa: ARG002 - it is its point
            return []

    assert [] == names(propose(snapshot([agent("a")], [waiting()]), by(Nobody), limit=10))


def test_a_pending_session_is_seen_with_all_that_the_seeds_look_at() -> None:
    seen: list[Any] = []
    name = new_session_id(1_700_000_000_123)
    asked = request("2", keypair="k", scopes={"user": "u", "domain": "d"}, cuda__device="1")

    def look(pending: Sequence[SeedSession], context: Any) -> None:
        seen.extend([pending[0], context.now_ms])

    view = snapshot([agent("a")], [waiting(asked, name=name, priority=70)])
    view.now_ms = 77
    propose(view, by(telling(look)), limit=10)

    session, now = seen
    assert isinstance(session, SeedSession)
    assert (name, name, "k", "u", 70, "PENDING", 1, 77) == (
        session.id,
        session.session_id,
        session.access_key,
        session.user,
        session.priority,
        session.status,
        session.cluster_size,
        now,
    )
    slots = {"cpu": 2_000, "cuda": 1_000}
    assert (slots, {}, slots) == (
        session.requested_slots,
        session.occupying_slots,
        session.kernels[0].requested_slots,
    )
    assert datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC) == session.created_at
    assert {"user": "u", "domain": "d"}.items() <= session.scopes.items()


def test_the_time_in_an_id_is_read_and_of_none_it_is_zero() -> None:
    assert (1_700_000_000_123, 0) == (
        submitted_ms(new_session_id(1_700_000_000_123)),
        submitted_ms("s1"),
    )


@pytest.mark.parametrize(
    ("pick", "says"),
    [
        (
            lambda *_: "nobody",
            "ValueError: it picked 'nobody', which is not among what it was shown",
        ),
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_an_answer_that_makes_no_sense_is_told_by_its_name(pick: Any, says: str) -> None:
    plan = propose(snapshot([agent("a")], [waiting()]), by(telling(pick)), limit=10)

    assert (f"scheduler 'seed' is broken: {says}", 1) == (plan.broken, len(plan.refusals))


def test_the_session_itself_may_be_the_answer_and_the_method_a_coroutine() -> None:
    class Async:
        async def pick_session(
            self, _: Any, pending: Sequence[SeedSession], __: Any
        ) -> SeedSession:
            return pending[0]

    assert ["s"] == names(propose(snapshot([agent("a")], [waiting(name="s")]), by(Async), limit=10))


def test_a_coroutine_that_waits_for_something_is_refused() -> None:
    class Wait:
        def __await__(self) -> Any:
            yield

    class Waiting:
        async def pick_session(self, *_: Any) -> None:
            await Wait()

    plan = propose(snapshot([agent("a")], [waiting()]), by(Waiting), limit=10)

    assert "it waits for something, which a decision may not" in plan.broken


@pytest.mark.parametrize("adapt", [adapt_scheduler, adapt_selector])
def test_a_class_without_the_methods_is_refused(adapt: Any) -> None:
    with pytest.raises(InvalidSetting, match=r"it has no method (pick_session|assign_agent_for)"):
        adapt(dict, "empty", OPTS, {})


def test_a_class_that_takes_no_options_is_given_none() -> None:
    class Plain:
        def pick_session(self, _: Any, pending: Sequence[SeedSession], __: Any) -> str:
            return pending[0].id

    assert "plain" == adapt_scheduler(Plain, "plain", OPTS, {}).name
    with pytest.raises(InvalidSetting, match="plain: it takes no options"):
        adapt_scheduler(Plain, "plain", OPTS, {"a": 1})


class Emptiest(SeedAgentSelector):
    """The agent with the least in use; of sessions, the one that is called last."""

    asked: ClassVar[list[Any]] = []

    def assign_agent_for_session(
        self, agents: Sequence[SeedAgent], pending_session: SeedWork
    ) -> str | None:
        self.asked.append((pending_session, list(agents)))
        return max(agent.id for agent in agents)

    def assign_agent_for_kernel(
        self, agents: Sequence[SeedAgent], pending_kernel: SeedKernel
    ) -> str | None:
        self.asked.append((pending_kernel, list(agents)))
        return min(agents, key=lambda agent: (agent.occupied_slots["cpu"], agent.id)).id


def selecting(made: Callable[..., Any] = Emptiest) -> Policy:
    return policy(adapt_selector(made, "emptiest", OPTS, {}))


def hosts(plan: Plan) -> list[list[str]]:
    return [[binding.agent for binding in p.bindings] for p in plan.placements]


def test_a_selector_of_the_seeds_chooses_agents() -> None:
    """K21: of those that have room, with what is in use of each by now."""
    Emptiest.asked.clear()
    view = snapshot([agent("a", devices=1), agent("b", devices=1), agent("c", 500, devices=1)])
    gang = replace(request("1", cuda__shares="500"), cluster_mode="multi-node")
    view.waiting.add(waiting(request("1", cuda__shares="500"), seq=1))
    view.waiting.add(waiting(replace(gang, id="gang", kernels=gang.kernels * 3), seq=2))

    plan = propose(view, selecting(), limit=10)

    assert [["b"], ["a", "a", "b"]] == hosts(plan)
    work, agents = Emptiest.asked[0]
    assert isinstance(work, SeedWork)
    assert ({"cpu": 1_000, "cuda": 500}, ["a", "b"]) == (
        work.requested_slots,
        [shown.id for shown in agents],
    )
    kernel, agents = Emptiest.asked[1]
    assert isinstance(kernel, SeedKernel)
    shown = {found.id: found for found in agents}
    assert ({"cpu": 1_000, "mem": 0, "cuda": 500}, {"cpu": 4_000, "mem": 8_192, "cuda": 1_000}) == (
        shown["b"].occupied_slots,
        shown["b"].available_slots,
    )


@pytest.mark.parametrize(("answer", "placed"), [(None, 0), ("nowhere", 0)])
def test_a_selector_that_chooses_none_or_nobody_it_was_shown(answer: Any, placed: int) -> None:
    class Odd(Emptiest):
        def assign_agent_for_session(self, agents: Any, pending_session: Any) -> Any:  # noqa: ARG002 - the seeds' signature
            return answer

    plan = propose(snapshot([agent("a")], [waiting()]), selecting(Odd), limit=10)

    (verdict,) = plan.refusals.values()
    assert placed == len(plan.placements)
    assert (answer is None) is ("no agent has" in verdict.reason)
    assert (answer is not None) is (
        "'emptiest' chose 'nowhere', which it was not shown" in verdict.reason
    )


def test_a_selector_of_the_seeds_is_not_asked_where_nobody_has_room() -> None:
    Emptiest.asked.clear()

    plan = propose(snapshot([agent("a", 500)], [waiting()]), selecting(), limit=10)

    assert ([], []) == (plan.placements, Emptiest.asked)
