"""A small world: a group, agents, a leader; and sessions brought into any state by legal verbs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import redis

from scheduler.domain import moves as m
from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import is_graph_id, new_nonce
from scheduler.domain.office import Office
from scheduler.domain.request import charge_text, lost_request
from scheduler.domain.session import SessionData
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import KernelState, SessionState
from scheduler.leader.rq_job import template
from scheduler.store import submission
from scheduler.store.agents import AgentRepository
from scheduler.store.api_keys import ApiKeyRepository
from scheduler.store.durations import DurationRepository
from scheduler.store.events import EventRepository
from scheduler.store.graphs import GraphRepository
from scheduler.store.groups import GroupRepository
from scheduler.store.jobs import JobRepository
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeadershipRepository, LeaderStore
from scheduler.store.mailbox import AgentMailbox, Superseded
from scheduler.store.offices import OfficeRepository
from scheduler.store.retention import RetentionRepository
from scheduler.store.scopes import ScopeRepository
from scheduler.store.script import Packed, Script, Sent
from scheduler.store.sessions import SessionRepository
from scheduler.store.submission import Checked
from scheduler.store.subscribers import SubscriberRepository

S: TypeAlias = SessionState
K: TypeAlias = KernelState
GROUP = "default"
#: A session, a placement and a boot that do not exist.
NOBODY = "0" * 26
OTHER = "f" * 32
FAR = datetime(2100, 1, 1, tzinfo=UTC)
LIVE = (K.ORDERED, K.CLAIMED, K.UP, K.STOPPING)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script, and every (script, word) it answered."""

    script: Script
    values: Mapping[str, Any]
    words: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Recorder:
    """Stands before Script.run and Sent.answer, and keeps what was called and answered."""

    calls: list[Call] = field(default_factory=list)

    def wrap(self, run: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """The method to put in place of Script.run."""

        def call(script: Script, client: redis.Redis, packed: Packed) -> list[Any]:
            reply = run(script, client, packed)
            self._keep(script, packed, reply)
            return reply

        return call

    def wrap_answer(self, answer: Callable[[Sent], list[Any]]) -> Callable[[Sent], list[Any]]:
        """The method to put in place of Sent.answer."""

        def call(sent: Sent) -> list[Any]:
            reply = answer(sent)
            self._keep(sent.script, sent.packed, reply)
            return reply

        return call

    def _keep(self, script: Script, packed: Packed, reply: list[Any]) -> None:
        values = {
            name: json.loads(value) if kind == "json" else value
            for (name, kind), value in zip(script.arguments.items(), packed[1:], strict=True)
        }
        words = [(script.name, str(reply[0]))]
        if script.name == "leader/apply":
            words += [
                (f"move/{op['verb']}", str(word))
                for op, word in zip(values["ops"], reply[1:], strict=False)
            ]
        if script.name == "leader/place":
            words += [("move/place", str(word)) for word in reply[1:]]
        self.calls.append(Call(script, values, tuple(words)))


def contents(client: redis.Redis, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Everything a server holds, by key; the keys named in ``without`` left out.

    What scopes count is read from its texts, whose fields stand in any order.
    """
    names = sorted(key for key in client.scan_iter(count=1000) if key not in without)
    with client.pipeline(transaction=False) as anything:
        pipe = cast("Any", anything)
        read: dict[str, Callable[[str], Any]] = {
            "hash": pipe.hgetall,
            "string": pipe.get,
            "set": pipe.smembers,
            "zset": lambda key: pipe.zrange(key, 0, -1, withscores=True),
            "list": lambda key: pipe.lrange(key, 0, -1),
            "stream": pipe.xrange,
        }
        for name in names:
            pipe.type(name)
        for name, kind in zip(names, pipe.execute(), strict=True):
            read[kind](name)
        found = dict(zip(names, pipe.execute(), strict=True))
    for name in names:
        if name.endswith(":scope:use"):
            found[name] = {scope: json.loads(text) for scope, text in found[name].items()}
    return found


class World:
    """One namespace with a group, a leader and agents; it does what tests ask by legal verbs."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self.sessions = SessionRepository(client, keys, SystemClock())
        self.jobs = JobRepository(client, keys)
        self.agents = AgentRepository(client, keys)
        self.groups = GroupRepository(client, keys)
        self.graphs = GraphRepository(client, keys, SystemClock())
        self.scopes = ScopeRepository(client, keys)
        self.offices = OfficeRepository(client, keys)
        self.durations = DurationRepository(client, keys)
        self.events = EventRepository(client, keys)
        self.leadership = LeadershipRepository(client, keys)
        self.subscribers = SubscriberRepository(client, keys)
        self.api_keys = ApiKeyRepository(client, keys)
        self.rq_job = template(keys.root)
        self.boots: dict[str, str] = {}
        self.groups.configure(GROUP, {})
        self.leader = self.lead()
        self.admit()

    def lead(self, group: str = GROUP) -> LeaderStore:
        """Take the lock by force and begin a term."""
        nonce = new_nonce()
        self.client.set(self.keys.lock(group), nonce)
        term = self.leadership.elect(group, nonce, "replica", "0")
        assert term
        return LeaderStore(self.client, self.client, self.keys, term)

    def apply(self, *moves: m.Move, cursor: tuple[str, str] | None = None) -> list[str]:
        """Write moves as the leader."""
        return self.leader.apply(moves, cursor=cursor)

    def commit(self, *placements: m.Place, keeps: Sequence[m.Keep] = ()) -> list[str]:
        """Commit placements as the leader."""
        return self.leader.pack_place(placements, keeps, self.rq_job).send().words()

    # Agents

    def admit(self, agent: str = "a1", group: str = GROUP, **changes: Any) -> str:
        """A new boot of an agent is admitted."""
        boot = new_nonce()
        move = m.Admit(
            agent, boot, group, ["architecture", "x86_64"], {"cpu": 64_000, "mem": 65_536}, "[]"
        )
        word = self.apply(replace(move, **changes))[0]
        self.boots[agent] = replace(move, **changes).boot
        return word

    def mailbox(self, agent: str = "a1") -> AgentMailbox:
        """The agent's side of the store."""
        return AgentMailbox(self.client, self.keys.root, agent, GROUP)

    def take(self, session: str, kernel: int = 0) -> list[str]:
        """The agent claims a kernel's order; the ids it got."""
        data = self.get(session)
        held = data.kernels[kernel]
        report = {"body": "{}", "mac": "0"}
        try:
            taken = self.mailbox(held.agent).claim(held.boot, [order_id(data, kernel)], report)
        except Superseded:  # a later boot was admitted
            return []
        return [claimed.order for claimed in taken]

    def forget(self, state: S, before_ms: int) -> list[str]:
        """What ended before a moment is forgotten."""
        return RetentionRepository(self.client, self.keys).forget(GROUP, state, before_ms)

    # Offices

    def office(self, name: str = "o", **changes: Any) -> Office:
        """An office with a role."""
        return self.offices.create(name, {"max_concurrent_by_role": {"a": 1}} | changes)

    # Sessions

    def submit(self, **asked: Any) -> str:
        """One session; a no-op callable unless told otherwise."""
        return self.sessions.submit([SessionSpec(**({"callable": "jobs:noop"} | asked))])[0]

    def submit_unsealed(self, parents: Sequence[str] = ()) -> str:
        """A session whose further dependencies were never loaded."""
        spec = SessionSpec(callable="jobs:noop", depends_on=parents)
        [root, requests, sessions] = submission.pack(
            self.keys.root, [Checked.of(spec)], SystemClock()
        )
        [asked] = json.loads(sessions)
        script = Script.load("session/submit")
        return str(
            script(
                self.client,
                root,
                requests=json.loads(requests),
                sessions=[asked | {"more": 1}],
            )[1]
        )

    def get(self, session: str) -> SessionData:
        """Its record."""
        return self.sessions.get(session)

    def state(self, session: str) -> SessionState:
        """Where it is."""
        return self.get(session).state

    def record(self, session: str) -> dict[str, str]:
        """Its hash as it lies in Redis."""
        return cast("dict[str, str]", self.client.hgetall(self.keys.session(session)))

    # Moves of the leader, with what a snapshot of the session says; a change overrides a field.

    def place(self, session: str, agents: Sequence[str] = ("a1",), **changes: Any) -> str:
        """Bind each kernel to an agent, in turn."""
        return self.commit(replace(self._placing(session, agents), **changes))[0]

    def place_all(self, sessions: Sequence[str]) -> list[str]:
        """All of them on one agent, in one script."""
        return self.commit(*[self._placing(session, ("a1",)) for session in sessions])

    def _placing(self, session: str, agents: Sequence[str]) -> m.Place:
        data = self.sessions.many([session])
        request = data[0].request if data else None
        asked = request.kernels if request else [{"cpu": 1000}]
        for agent in agents:
            if agent not in self.boots:
                self.admit(agent)
        kernels = [
            {"agent": agent, "boot": self.boots[agent], "slots": dict(slots), "order": "mac {}"}
            for slots, agent in zip(
                asked, [agents[i % len(agents)] for i in range(len(asked))], strict=True
            )
        ]
        held = charge_text(request or lost_request(""))
        return m.Place(session, new_nonce(), " ".join(agents), kernels, held, 10_000)

    def claim(self, session: str, kernel: int = 0, **changes: Any) -> str:
        """The agent's claim reached the leader."""
        placement, agents = self._placement(session)
        return self.apply(
            replace(m.Claim(session, placement, kernel, agents, 60_000, 1_800_000), **changes)
        )[0]

    def up(self, session: str, kernel: int = 0, **changes: Any) -> str:
        """A kernel's process runs."""
        others = [k for k in self._kernels(session) if k.index != kernel]
        last = int(all(k.state is K.UP for k in others))
        move = m.Up(session, self._placement(session)[0], kernel, last, 60_000)
        return self.apply(replace(move, **changes))[0]

    def over(self, session: str, kernel: int = 0, **changes: Any) -> str:
        """A kernel ended by itself."""
        move = m.Over(session, self._placement(session)[0], kernel, "0", "", "exited", "", "")
        return self.apply(replace(move, **changes))[0]

    def advance(
        self, session: str, begins: KernelState, ends: KernelState = K.ENDED, **changes: Any
    ) -> str:
        """Several reports of its one kernel reached the leader together."""
        placement, agents = self._placement(session)
        move = m.Advance(
            session, placement, str(begins), str(ends), agents, 60_000, 1_800_000, 1_802_000, ""
        )
        return self.apply(replace(move, **changes))[0]

    def lose(self, session: str, kernel: int = 0, **changes: Any) -> str:
        """A kernel's agent is certainly dead."""
        move = m.Lose(session, self._placement(session)[0], kernel, "lost")
        return self.apply(replace(move, **changes))[0]

    def stop(self, session: str, reason: str = "failed", **changes: Any) -> str:
        """Stop it, with a stop order for each kernel that may be alive."""
        placement, agents = self._placement(session)
        kernels = [
            {"index": k.index, "agent": k.agent, "stop": "mac {}"}
            for k in self._kernels(session)
            if k.state in LIVE
        ]
        move = m.Stop(session, placement, reason, f"says {reason}", kernels, agents)
        return self.apply(replace(move, **changes))[0]

    def finish(self, session: str, target: str = S.SUCCEEDED, **changes: Any) -> str:
        """All its kernels are over."""
        move = m.Finish(
            session,
            self._placement(session)[0],
            "end",
            str(target),
            "why",
            "error",
            "told",
            0,
            0,
            1_000,
        )
        return self.apply(replace(move, **changes))[0]

    def settle(self, session: str, edge: str) -> str:
        """Its time has come."""
        return self.apply(m.Settle(session, GROUP, edge, f"says {edge}"))[0]

    def resolve(self, session: str, limit: int = 200) -> str:
        """Tell some of its dependents."""
        return self.apply(m.Resolve(session, GROUP, limit))[0]

    def resolve_all(self) -> int:
        """Tell all dependents of all that ended, and unroll all graphs; how many steps it took."""
        steps = 0
        while ended := self.leader.unresolved():
            for each in ended:
                if is_graph_id(each):
                    self.apply(m.Unroll(each, GROUP, 200))
                else:
                    self.resolve(each)
                steps += 1
        return steps

    def _placement(self, session: str) -> tuple[str, list[str]]:
        found = self.sessions.many([session])
        if not found:
            return OTHER, []
        return found[0].placement or OTHER, [k.agent for k in found[0].kernels]

    def _kernels(self, session: str) -> Sequence[Any]:
        found = self.sessions.many([session])
        return found[0].kernels if found else ()

    # Lives

    def into(self, state: SessionState, **asked: Any) -> str:
        """A session in a state, reached by legal verbs only."""
        if state is S.PENDING:
            return self.submit(**({"not_before": FAR} | asked))
        session = self.submit(**asked)
        if state in (S.READY, S.CANCELLED):
            if state is S.CANCELLED:
                self.sessions.cancel(session)
            return session
        assert self.place(session) == "placed"
        if state is S.SCHEDULED:
            return session
        self.start(session, up=state is not S.PREPARING)
        if state is S.TERMINATING:
            assert self.stop(session) == "stopping"
        if state in (S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.RETRYING):
            self.end(session, state)
        return session

    def start(self, session: str, *, up: bool = True) -> None:
        """Its agents take all orders, and the kernels come up."""
        for kernel in range(len(self.get(session).kernels)):
            assert self.take(session, kernel)
            assert self.claim(session, kernel) == "done"
            if up:
                assert self.up(session, kernel) == "done"

    def kernels_over(self, session: str) -> None:
        """Whatever its kernels were doing, they are over."""
        for kernel in self._kernels(session):
            if kernel.state is K.ORDERED:
                self.lose(session, kernel.index)
            elif kernel.state in LIVE:
                self.over(session, kernel.index)

    def end(self, session: str, target: SessionState = S.SUCCEEDED) -> None:
        """Its kernels end, and it with them."""
        self.kernels_over(session)
        assert self.finish(session, target) == "done"

    def end_withdrawn(self, session: str) -> None:
        """Its orders are taken back before any claim, and it is cancelled."""
        assert self.stop(session, "cancelled") == "cancelled"

    def reach_start_time(self, session: str) -> None:
        """Time passes: what it waited for is past now."""
        self.client.hset(self.keys.session(session), "not_before", "1")


def order_id(data: SessionData, kernel: int = 0) -> str:
    """The id of a kernel's order."""
    return f"{data.id}-{kernel}-{data.placement}"
