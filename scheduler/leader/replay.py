"""Places a trace's tasks onto its nodes by the real leader code, and tells what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from scheduler.cycle.scheduler import NO_ROOM
from scheduler.domain.clock import Clock
from scheduler.domain.group import DEFAULT_GROUP, ScalingGroupOpts
from scheduler.domain.slots import by_family
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.domain.verdict import Verdict
from scheduler.leader.policies import load_policy
from scheduler.leader.stage import Stage, StagedAgent, StagedReign, place_all
from scheduler.leader.trace import Node, Task

NEVER_FITS: Final = "fits no node, not even an idle one"
#: Nobody runs it: the agents of a replay take no orders.
_CALLABLE: Final = "builtins:print"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One family of slots over all nodes: cpu and devices in milli, memory in MiB."""

    slot: str
    used: int
    capacity: int
    percent: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a trace."""

    nodes: int
    tasks: int
    placed: int
    refused: Mapping[str, int]  #: how many tasks by reason
    allocation: Sequence[Allocation]
    seconds: float  #: of placing alone
    placements_per_s: float
    tasks_naming_models: int
    note: str

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def check_policy(options: Mapping[str, Any]) -> None:
    """Refuse what is not installed, before anything is written. Raises UnknownPlugin, InvalidSetting."""
    load_policy(ScalingGroupOpts(**options))


def replay(stage: Stage, nodes: Sequence[Node], tasks: Sequence[Task], clock: Clock) -> Replayed:
    """Submit all tasks in their order, then place them; nothing ever ends."""
    # Before there are agents, submits are measured against nothing: the leader judges them all.
    stage.sessions.submit([_spec(task) for task in tasks])
    stage.admit([StagedAgent(node.sn, node.capacity, node.models) for node in nodes])
    reign = stage.lead()
    seconds = place_all(reign, clock)
    placed = reign.dispatcher.counts.placed
    naming = sum(bool(task.models) for task in tasks)
    return Replayed(
        nodes=len(nodes),
        tasks=len(tasks),
        placed=placed,
        refused=_refusals(stage, reign),
        allocation=_allocation(stage, [node.sn for node in nodes]),
        seconds=round(seconds, 3),
        placements_per_s=round(placed / seconds, 1) if seconds else 0.0,
        tasks_naming_models=naming,
        note=_note(naming),
    )


def reason_of(verdict: Verdict, lacks: Iterable[str]) -> str:
    """A refusal without its numbers, so that equal reasons can be counted together."""
    if verdict.by != NO_ROOM:
        return f"{verdict.by}: {verdict.reason}"
    return f"no node has room now (they lack {', '.join(sorted(w.removeprefix('lack ') for w in lacks))})"


def _spec(task: Task) -> SessionSpec:
    return SessionSpec(callable=_CALLABLE, name=task.name, slots=task.slots, labels=task.labels)


def _refusals(stage: Stage, reign: StagedReign) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for line in reign.state.waiting.lines():
        if line.verdict is not None:
            lacks = reign.state.agents.lacks(line.needs[0])
            counted[reason_of(line.verdict, lacks)] += line.waiting
    # The leader ends at once what could never run; nothing else fails where nothing runs.
    never = stage.sessions.counts(DEFAULT_GROUP)[SessionState.FAILED]
    return dict(counted.most_common()) | ({NEVER_FITS: never} if never else {})


def _allocation(stage: Stage, nodes: Sequence[str]) -> list[Allocation]:
    free: Counter[str] = Counter()
    capacity: Counter[str] = Counter()
    for agent in stage.agents.many(nodes):
        free.update(by_family(agent.free))
        capacity.update(by_family(agent.capacity))
    return [
        Allocation(slot, total - free[slot], total, round(100 * (total - free[slot]) / total, 2))
        for slot, total in sorted(capacity.items())
    ]


def _note(naming: int) -> str:
    who = f"{naming} tasks name" if naming else "no task of this list names"
    return f"Shares per device and models that tasks ask for (gpu_spec) are respected: {who} some."
