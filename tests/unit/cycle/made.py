"""What the cycle's tests decide on, made by hand: requests, waiting sessions, agents, snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from scheduler.cycle.agents import AgentTable
from scheduler.cycle.scheduler import Policy
from scheduler.cycle.selectors.concentrated import ConcentratedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.validators.concurrency import ConcurrencyValidator
from scheduler.cycle.waiting import WaitingRoom, WaitingSession
from scheduler.domain.agent import AgentData, AgentStatus
from scheduler.domain.request import Request, request_of
from scheduler.domain.slots import DEVICE
from scheduler.domain.spec import SessionSpec
from scheduler.plugins.interfaces import AbstractAgentSelector, AbstractScheduler, AbstractValidator

_numbers = count(1)


def request(
    cpu: str = "1",
    *,
    size: int = 1,
    keypair: str | None = None,
    scopes: Mapping[str, str] | None = None,
    **more: str | int,
) -> Request:
    """A request of some kernels; ``more`` are further slots, with __ for the dot."""
    slots: dict[str, str | int] = {"cpu": cpu}
    slots.update({name.replace("__", "."): value for name, value in more.items()})
    return request_of(
        SessionSpec(
            callable="a:b", slots=slots, cluster_size=size, keypair=keypair, scopes=scopes or {}
        )
    )


def waiting(
    asked: Request | None = None,
    *,
    priority: int = 10,
    seq: int | None = None,
    name: str = "",
    since: int = 0,
) -> WaitingSession:
    """One READY session; they are submitted in the order they are made."""
    number = next(_numbers) if seq is None else seq
    return WaitingSession(
        id=name or f"s{number:06}",
        request=asked or request(),
        priority=priority,
        seq=number,
        attempt=0,
        digest="",
        name="",
        waiting_since=since,
    )


def agent(  # noqa: PLR0913 - the facts of one agent
    name: str,
    cpu: int = 4000,
    *,
    devices: int = 0,
    free: Mapping[str, int] | None = None,
    status: AgentStatus = AgentStatus.READY,
    drained: bool = False,
    max_kernels: int = 0,
) -> AgentData:
    """An agent, idle unless told otherwise."""
    capacity = {"cpu": cpu, "mem": 8192} | {f"cuda.{i}": DEVICE for i in range(devices)}
    return AgentData(
        id=name,
        group="default",
        boot="b" * 32,
        status=status,
        drained=drained,
        capacity=capacity,
        free=dict(capacity) if free is None else free,
        max_kernels=max_kernels,
    )


def table(agents: Iterable[AgentData]) -> AgentTable:
    """Agents that run nothing."""
    made = AgentTable()
    for data in agents:
        made.put(data, 0)
    return made


def snapshot(
    agents: Iterable[AgentData],
    sessions: Iterable[WaitingSession] = (),
    scheduler: AbstractScheduler | None = None,
) -> Snapshot:
    """A picture with these agents and these sessions, first in, first out unless told otherwise."""
    made = Snapshot(table(agents), WaitingRoom((scheduler or FifoScheduler({})).rank))
    for session in sessions:
        made.waiting.add(session)
    return made


def policy(
    selector: AbstractAgentSelector | None = None,
    validators: Sequence[AbstractValidator] | None = None,
    *,
    grows: bool = False,
    scheduler: AbstractScheduler | None = None,
) -> Policy:
    """FIFO, concentrated, with the concurrency rule, unless told otherwise."""
    return Policy(
        scheduler=scheduler or FifoScheduler({}),
        selector=selector or ConcentratedAgentSelector({}),
        validators=(ConcurrencyValidator(),) if validators is None else validators,
        grows=grows,
    )
