"""What a cycle proposes."""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.records import record
from scheduler.domain.verdict import Verdict
from scheduler.plugins.interfaces import KernelAgentBinding


@record
class Placement:
    """One session and where all its kernels go."""

    session: WaitingSession
    bindings: tuple[KernelAgentBinding, ...]


@dataclass(slots=True)
class Plan:
    """Placements to commit, refusals to remember, sessions that can never run."""

    placements: list[Placement] = field(default_factory=list)
    refusals: dict[str, Verdict] = field(
        default_factory=dict
    )  #: by request id, where the news is worth a note
    impossible: list[tuple[WaitingSession, str]] = field(default_factory=list)
    more: bool = False  #: the limit of one plan was reached
    #: What a mode or a selector raised when it was to place one session, by what is said of it.
    faults: dict[str, Exception] = field(default_factory=dict)
    broken: str = ""  #: why the policy could not go on: its scheduler raised, or its selector
