"""Apps, a leader and agents at random; after each step the store holds what the model says."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast
from uuid import uuid4

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scheduler.domain.errors import PendingLimitReached, WrongState
from scheduler.domain.events import CATALOGUE
from scheduler.domain.ids import new_nonce
from scheduler.domain.scope import OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.domain.share import DAY_MS
from scheduler.domain.states import STOP_STRENGTH
from scheduler.store.keys import Keys
from scheduler.store.use import UseRepository
from tests.conftest import strangers
from tests.properties.store_jobs import LISTS, ROLES, JobRules, named_job
from tests.properties.store_model import FINAL, LIVE, PLACED, Agent, K, Model, S, Session
from tests.unit.store.lives import GROUP, World

AGENTS = ("a1", "a2", "a3")
SCOPES = ("global global", "keypair k1", "keypair k2", "user u1", "private k1")
CPU = 6000
LONG_MS = 10 * DAY_MS
picks = st.integers(0, 2**16)
SOME = st.none() | st.integers(0, 4)
SLOTS = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.integers(0, 8).map(lambda cores: 1000 * cores),
        "mem": st.integers(0, 5),
    },
)
LIMITS = st.builds(
    ScopeLimits,
    max_sessions=SOME,
    max_slots=SLOTS,
    unspecified_slots=st.sampled_from([*OtherSlots]),
    max_pending_sessions=st.none() | st.integers(1, 8),
    max_pending_slots=SLOTS,
)
FINISHES = [("end", target) for target in S] + [("rescue", target) for target in S]


class StoreMachine(JobRules, RuleBasedStateMachine):
    """The store beside its model."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client = cast("Any", client)
        self.keys = Keys(f"t{uuid4().hex[:8]}")
        self.model = Model()
        #: Every kernel that ever was: (session, placement, index) -> (owner, milli).
        self.held: dict[tuple[str, str, int], tuple[str, int]] = {}

    @initialize(limits=st.lists(LIMITS, min_size=3, max_size=3))
    def begin(self, limits: list[ScopeLimits]) -> None:
        self.world = World(self.client, self.keys)
        for agent in AGENTS:
            self._admit(agent)
        for scope, each in zip(SCOPES[:3], limits, strict=True):
            self._limit(scope, each)
        self.world.office(
            "acme", max_concurrent_jobs=2, max_concurrent_by_role={"builder": 1}, roles=ROLES
        )
        self.model.limits["office acme"] = ScopeLimits(max_sessions=2)
        self.model.limits["role acme/builder"] = ScopeLimits(max_sessions=1)
        self.world.office("globex", max_concurrent_jobs=1000, roles=ROLES)

    def _admit(self, agent: str) -> None:
        assert "done" == self.world.admit(agent, capacity={"cpu": CPU, "mem": 2**20})
        drained = agent in self.model.agents and self.model.agents[agent].drained
        self.model.agents[agent] = Agent(self.world.boots[agent], CPU, drained)

    def _one(self, pick: int, states: set[S] | None = None) -> str:
        """One of the sessions, those in the given states rather than others."""
        ids = sorted(self.model.sessions)
        wanted = [id_ for id_ in ids if states is None or self.model.sessions[id_].state in states]
        return (wanted or ids)[pick % len(wanted or ids)]

    def _placed(self, pick: int) -> tuple[str, int]:
        session = self._one(pick, PLACED)
        return session, pick % max(len(self.model.sessions[session].kernels), 1)

    # Apps

    @rule(
        size=st.integers(1, 3),
        slots=st.tuples(st.integers(1, 3), st.integers(0, 2)),
        owners=st.tuples(
            st.sampled_from([None, "k1", "k2"]),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["", *LISTS]),
        ),
        parents=st.lists(picks, max_size=3),
    )
    def submit(
        self,
        size: int,
        slots: tuple[int, int],
        owners: tuple[str | None, bool, bool, str],
        parents: list[int],
    ) -> None:
        wanted = (
            list(dict.fromkeys(self._one(pick) for pick in parents)) if self.model.sessions else []
        )
        (cpu, mem), (keypair, of_user, private, job) = slots, owners
        private = private and keypair == "k1"
        job = "" if private else job
        scopes = {f"keypair {keypair}"} if keypair else set()
        scopes |= {"global global"} | ({"user u1"} if of_user else set())
        scopes |= {" ".join(scope) for scope in named_job(job).items()}
        asked = {"cpu": str(cpu)} | ({"mem": f"{mem}MiB"} if mem else {})
        session = Session(
            request="",
            scopes={"private k1"} if private else scopes,
            size=size,
            cpu=cpu * 1000,
            mem=mem,
            state=S.READY,
            parents=dict.fromkeys(wanted, False),
            job=job,
        )
        may_wait = self.model.may_wait(session)
        try:
            id_ = self.world.submit(
                cluster_size=size,
                slots=asked,
                keypair=keypair,
                scopes=({"user": "u1"} if of_user else {}) | named_job(job),
                private=private,
                depends_on=wanted,
            )
        except PendingLimitReached:
            assert not may_wait
            return
        assert may_wait
        session.request = self.world.get(id_).request.id
        self.model.add(id_, session)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        session = self._one(pick)

        assert self.model.cancel(session) == self.world.sessions.cancel(session)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, along=st.booleans())
    def retry(self, pick: int, *, along: bool) -> None:
        session = self._one(pick, FINAL)
        if any(
            limits.max_pending_sessions is not None or limits.max_pending_slots
            for limits in self.model.limits.values()
        ):
            along = False  # which of its dependents still fit depends on their order, which is none
        expected = self.model.retry(session, along=along)
        try:
            found = self.world.sessions.retry(session, with_dependents=int(along))
        except (WrongState, PendingLimitReached):
            found = []

        assert sorted(expected) == sorted(found)

    # Agents

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks)
    def take(self, pick: int) -> None:
        session, index = self._placed(pick)
        kernels = self.model.sessions[session].kernels
        if not kernels:
            return
        kernel = kernels[index]
        expected = kernel.state is K.ORDERED and not kernel.taken

        assert expected is bool(self.world.take(session, index))
        kernel.taken = kernel.taken or expected

    # The leader

    @precondition(lambda self: self.model.sessions)
    @rule(
        pick=picks,
        agents=st.lists(st.sampled_from(AGENTS), min_size=3, max_size=3),
        together=st.booleans(),
    )
    def place(self, pick: int, agents: list[str], *, together: bool) -> None:
        session, placement = self._one(pick, {S.READY}), new_nonce()
        size = self.model.sessions[session].size
        chosen = [agents[0]] * size if together else agents[:size]
        expected = self.model.place(session, placement, chosen)

        word = self.world.place(session, chosen, placement=placement)
        assert word in expected
        if word == "placed":
            named = dict(scope.split(" ") for scope in self.model.sessions[session].scopes)
            owner = next((named[k] for k in ("user", "keypair", "private") if k in named), "")
            cpu = self.model.sessions[session].cpu
            self.held |= {(session, placement, index): (owner, cpu) for index in range(size)}
            # So long ago that what the steps take is nothing beside it.
            self.client.hincrby(self.keys.session(session), "placed_at", -LONG_MS)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks)
    def claim_what_was_taken(self, pick: int) -> None:
        session, index = self._placed(pick)
        kernels = self.model.sessions[session].kernels
        if kernels and kernels[index].taken:
            assert self.model.claim(session, index) == self.world.claim(session, index)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks)
    def up(self, pick: int) -> None:
        session, index = self._placed(pick)
        if self.model.sessions[session].kernels:
            assert self.model.up(session, index) == self.world.up(session, index)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, state=st.sampled_from([K.ENDED, K.LOST]))
    def kernel_over(self, pick: int, state: K) -> None:
        session, index = self._placed(pick)
        if self.model.sessions[session].kernels:
            verb = self.world.over if state is K.ENDED else self.world.lose

            assert self.model.over(session, index, state) == verb(session, index)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, reason=st.sampled_from(sorted(STOP_STRENGTH)))
    def stop(self, pick: int, reason: str) -> None:
        session = self._one(pick, PLACED)

        assert self.model.stop(session, reason) == self.world.stop(session, reason)

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, how=st.sampled_from(FINISHES), over=st.booleans())
    def finish(self, pick: int, how: tuple[str, S], *, over: bool) -> None:
        session = self._one(pick, PLACED)
        if over and self.model.sessions[session].state in PLACED:
            self.world.kernels_over(session)
            for kernel in self.model.sessions[session].kernels:
                if kernel.state in LIVE:
                    kernel.state = K.LOST if kernel.state is K.ORDERED else K.ENDED

        assert self.model.finish(session, *how) == self.world.finish(session, how[1], edge=how[0])

    @precondition(lambda self: self.model.sessions)
    @rule(pick=picks, edge=st.sampled_from(["release", "requeue", "expire", "refuse"]))
    def settle(self, pick: int, edge: str) -> None:
        session = self._one(pick, {S.RETRYING} if edge == "requeue" else None)

        assert self.model.settle(session, edge) == self.world.settle(session, edge)

    @rule(limit=st.integers(1, 3))
    def resolve(self, limit: int) -> None:
        for session in self.world.leader.unresolved():
            while self.world.resolve(session, limit) == "more":
                pass
            self.model.resolve(session)

    @rule(agent=st.sampled_from(AGENTS), drained=st.booleans())
    def drain(self, agent: str, *, drained: bool) -> None:
        self.world.agents.drain(agent) if drained else self.world.agents.undrain(agent)
        self.model.agents[agent].drained = drained

    @rule(agent=st.sampled_from(AGENTS))
    def new_boot(self, agent: str) -> None:
        """What the last boot held is lost first, as the leader does."""
        for id_, session in self.model.sessions.items():
            for index, kernel in enumerate(session.kernels):
                if kernel.agent == agent and kernel.state in LIVE:
                    assert self.model.over(id_, index, K.LOST) == self.world.lose(id_, index)
        self._admit(agent)

    @rule(scope=st.sampled_from(SCOPES[:3]), limits=LIMITS)
    def limit(self, scope: str, limits: ScopeLimits) -> None:
        self._limit(scope, limits)

    @rule(scope=st.sampled_from(SCOPES[:4]))
    def lift(self, scope: str) -> None:
        self._limit(scope, ScopeLimits())

    @rule(main=st.sampled_from(["", "k1"]), private=st.none() | st.integers(0, 2))
    def limit_others(self, main: str, private: int | None) -> None:
        self._limit("user u1", ScopeLimits(main_keypair=main))
        self._limit("private k1", ScopeLimits(private))

    def _limit(self, scope: str, limits: ScopeLimits) -> None:
        self.world.scopes.limit(Scope(*scope.split(" ")), limits)
        self.model.limits[scope] = limits

    @rule(state=st.sampled_from(sorted(FINAL)))
    def forget(self, state: S) -> None:
        assert self.model.forget(state) == set(self.world.forget(state, 2**45))

    # What must hold after each step

    @invariant()
    def states_and_indexes_are_exact(self) -> None:
        for state in S:
            expected = {
                id_ for id_, session in self.model.sessions.items() if session.state is state
            }

            assert expected == set(self.client.zrange(self.keys.state(GROUP, state), 0, -1)), state

    @invariant()
    def records_are_exact(self) -> None:
        for data in self.world.sessions.many(self.model.sessions):
            session = self.model.sessions[data.id]
            parents = {
                parent: met == "met" for parent, met in self.world.sessions.parents(data.id).items()
            }
            row = self.world.record(data.id)

            assert (session.state, session.unmet, session.attempts) == (
                data.state,
                data.unmet,
                data.attempt,
            )
            assert session.attempts == len(data.history)
            assert session.parents == parents
            assert ("held" in row) is (session.state in PLACED)
            if session.state in PLACED:
                assert [(k.state, k.agent) for k in session.kernels] == [
                    (k.state, k.agent) for k in data.kernels
                ]

    @invariant()
    def no_slot_is_sold_twice(self) -> None:
        for agent in self.world.agents.many(AGENTS):
            assert (CPU, self.model.free(agent.id)) == (agent.capacity["cpu"], agent.free["cpu"])
            assert agent.free["cpu"] >= 0

    @invariant()
    def use_is_counted_once_per_kernel_that_is_over(self) -> None:
        live = {
            (id_, session.placement, index)
            for id_, session in self.model.sessions.items()
            for index, kernel in enumerate(session.kernels)
            if kernel.state in LIVE
        }
        expected = Counter[str]()
        for kernel in self.held.keys() - live:
            owner, cpu = self.held[kernel]
            expected[owner] += cpu
        today = self.world.leader.now_ms() // DAY_MS
        found = Counter[str]()
        for owners in UseRepository(self.client, self.keys).read(GROUP, today, 12).values():
            found.update({owner: families["cpu"] for owner, families in owners.items()})

        assert expected == {owner: amount * 1000 // LONG_MS for owner, amount in found.items()}

    @invariant()
    def scopes_are_exact(self) -> None:
        found = self.world.scopes.read(Scope(*scope.split(" ")) for scope in SCOPES)
        for scope in SCOPES:
            assert self.model.members(scope) == self.world.scopes.members(Scope(*scope.split(" ")))
            use = found[Scope(*scope.split(" "))]
            assert use == ScopeUse(
                limits=self.model.limits.get(scope, ScopeLimits()),
                sessions=len(self.model.members(scope)),
                slots=self.model.slots(scope, waiting=False),
                pending=len(self.model.waits(scope)),
                pending_slots=self.model.slots(scope, waiting=True),
                main=use.main,
            )

    @invariant()
    def orders_are_those_of_live_kernels(self) -> None:
        orders: dict[str, set[str]] = {agent: set() for agent in AGENTS}
        stops: dict[str, set[str]] = {agent: set() for agent in AGENTS}
        for id_, session in self.model.sessions.items():
            for index, kernel in enumerate(session.kernels):
                order = f"{id_}-{index}-{session.placement}"
                if kernel.state is K.ORDERED and not kernel.taken:
                    orders[kernel.agent].add(order)
                if kernel.state is K.STOPPING:
                    stops[kernel.agent].add(order)
        for agent in AGENTS:
            assert orders[agent] == set(self.client.hkeys(self.keys.orders(agent)))
            assert stops[agent] == set(self.client.hkeys(self.keys.stops(agent)))
            pushed = set(self.client.lrange(self.keys.rq_queue(agent), 0, -1))
            assert orders[agent] | {f"stop-{order}" for order in stops[agent]} <= pushed
        jobs = {
            key.removeprefix("rq:job:") for key in self.client.scan_iter("rq:job:*", count=1000)
        }
        assert set().union(*orders.values()) == jobs

    @invariant()
    def uses_of_requests_are_exact(self) -> None:
        uses = Counter(session.request for session in self.model.sessions.values())
        stored = {
            key.rpartition(":")[2]: int(self.client.hget(key, "uses"))
            for key in self.client.scan_iter(self.keys.request("*"), count=1000)
        }

        assert dict(uses) == stored

    @invariant()
    def timers_are_of_sessions_that_have_not_ended(self) -> None:
        timers = set(self.client.zrange(self.keys.timers(GROUP), 0, -1))

        assert timers <= {
            id_ for id_, session in self.model.sessions.items() if session.state not in FINAL
        }
        ticking = {S.SCHEDULED, S.PREPARING, S.RUNNING, S.RETRYING}
        assert {
            id_ for id_, session in self.model.sessions.items() if session.state in ticking
        } <= timers

    @invariant()
    def nobody_waits_for_what_has_ended_and_is_on_no_list(self) -> None:
        unresolved = set(self.world.leader.unresolved(1000))

        for id_, session in self.model.sessions.items():
            if session.state in FINAL and self.model.dependents.get(id_):
                assert id_ in unresolved

    def teardown(self) -> None:
        events = self.world.events.since("0-0", limit=100_000) if hasattr(self, "world") else []
        found = list(self.client.scan_iter(count=1000))
        if found:
            self.client.delete(*found)

        assert list(range(1, len(events) + 1)) == [event.seq for event in events]
        assert {event.name for event in events} <= set(CATALOGUE)
        assert [] == strangers(self.keys, found)


SHARE, STEPS = {"fake": 0.07, "redis-7": 0.2, "embedded": 0.1}, 40


def test_the_store_holds_exactly_what_the_model_says(
    each_redis: redis.Redis, request: pytest.FixtureRequest
) -> None:
    """D3, K8, K10, K11, W9."""
    share = next(share for server, share in SHARE.items() if server in request.node.name)
    run_state_machine_as_test(
        cast("Any", lambda: StoreMachine(each_redis)),
        settings=settings(
            max_examples=int(settings().max_examples * share),
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            # To shrink takes minutes; a failure prints its steps, and they are short enough.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
