"""A group without Redis: the decisions of production on a snapshot, and nothing is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.plan import Placement
from scheduler.cycle.scheduler import NO_HOOKS, propose
from scheduler.cycle.snapshot import AGENTS, Snapshot
from scheduler.cycle.waiting import WaitingRoom, WaitingSession
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.group import DEFAULT_GROUP, Backfill, ScalingGroupOpts
from scheduler.domain.request import request_of
from scheduler.domain.share import Usage, Used, add_use
from scheduler.domain.slots import DEVICE
from scheduler.domain.spec import SessionSpec
from scheduler.leader.policies import load_policy
from scheduler.leader.trace import GPU, Node, Task
from scheduler.plugins.loading import scheduler_names, selector_names

#: Nobody runs it.
_CALLABLE: Final = "builtins:print"
_BATCH: Final = 50


@dataclass(frozen=True, slots=True)
class Plugin:
    """A scheduler or a selector with its options."""

    name: str
    opts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.opts:
            return self.name
        return f"{self.name}:" + ",".join(f"{name}={value}" for name, value in self.opts.items())


FIFO: Final = Plugin("fifo")
CONCENTRATED: Final = Plugin("concentrated")
#: The descent as published, without the two terms of ours.
FGD: Final = Plugin("fragmentation", {"cpu_shortage": 0, "model_pressure": 0})


def installed_schedulers() -> list[Plugin]:
    """Every scheduler, by name."""
    return [*map(Plugin, scheduler_names())]


def installed_selectors() -> list[Plugin]:
    """Every selector, by name, and the published descent to compare with."""
    return [*map(Plugin, selector_names()), FGD]


class Rehearsal:
    """A trace's nodes, idle at first, and one policy. Raises UnknownPlugin, InvalidSetting."""

    def __init__(self, nodes: Sequence[Node], scheduler: Plugin, selector: Plugin) -> None:
        self.policy = load_policy(
            ScalingGroupOpts(
                scheduler=scheduler.name,
                scheduler_opts=dict(scheduler.opts),
                agent_selector=selector.name,
                agent_selector_opts=dict(selector.opts),
                # A trace tells how long tasks ran, and not by when they had to end.
                backfill=Backfill.NONE,
            ),
            # They may ask somebody outside, who knows nothing of a rehearsal.
            hooks=NO_HOOKS,
        )
        agents = AgentTable()
        for node in nodes:
            agents.put(_agent(node), 0)
        self.snapshot = Snapshot(agents, WaitingRoom(self.policy.scheduler.rank))
        self.gpus = sum(milli_of(node.capacity) for node in nodes)
        self._arrived = 0
        self._since: dict[str, int] = {}
        self._used: dict[int, Used] = {}

    def arrive(self, task: Task, now_ms: int = 0) -> WaitingSession:
        """Let a task wait."""
        self._arrived += 1
        scopes = {"user": task.user} if task.user else {}
        request = request_of(
            SessionSpec(callable=_CALLABLE, slots=task.slots, labels=task.labels, scopes=scopes)
        )
        session = WaitingSession(
            id=f"s{self._arrived:09}",
            request=request,
            priority=10,
            seq=self._arrived,
            attempt=0,
            digest="",
            name=task.name,
            waiting_since=now_ms,
        )
        self.snapshot.waiting.add(session)
        return session

    def place(self, now_ms: int = 0) -> tuple[list[Placement], list[str]]:
        """Cycles until nothing more finds room; what was placed, and who never will be."""
        self.snapshot.now_ms = now_ms
        self.snapshot.usage = Usage(now_ms, self._used)
        placed: list[Placement] = []
        never: list[str] = []
        more = True
        while more:
            plan = propose(self.snapshot, self.policy, limit=_BATCH)
            placed += plan.placements
            for session, _ in plan.impossible:
                self.snapshot.waiting.discard(session.id)
                never.append(session.id)
            more = plan.more
        self._since |= {placement.session.id: now_ms for placement in placed}
        return placed, never

    def end(self, placement: Placement, now_ms: int = 0) -> None:
        """What it held is free again, and counts as used; who waits is woken by ``wake``."""
        request, since = placement.session.request, self._since.pop(placement.session.id)
        add_use(self._used, request.owner, request.families, since, now_ms)
        for binding in placement.bindings:
            self.snapshot.agents.give(binding.agent, binding.slots)
        self.snapshot.hold(placement.session.request, -1)

    def wake(self) -> None:
        """Who found no room looks again."""
        self.snapshot.waiting.wake(AGENTS)


def milli_of(slots: Mapping[str, int]) -> int:
    """Milli GPU among device slots."""
    return sum(amount for slot, amount in slots.items() if slot.startswith(f"{GPU}."))


def asked_by(task: Task) -> int:
    """Milli GPU that a task asks for."""
    share, devices = task.slots.get(f"{GPU}.shares", 0), task.slots.get(f"{GPU}.device", 0)
    return int(share) + DEVICE * int(devices)


def _agent(node: Node) -> AgentData:
    return AgentData(
        id=node.sn,
        group=DEFAULT_GROUP,
        boot="rehearsed",
        status=AgentStatus.READY,
        drained=False,
        capacity=node.capacity,
        free=node.capacity,
        models=node.models,
    )
