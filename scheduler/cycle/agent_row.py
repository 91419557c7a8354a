"""One agent in the table of agents."""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.domain.agent import AgentData, AgentStatus


@dataclass(slots=True)
class AgentRow:
    """One agent: its record and what is free of it in this snapshot."""

    data: AgentData
    free: dict[str, int]
    kernels: int = 0
    by_family: dict[str, int] = field(default_factory=dict)
    avoided: bool = False  #: it let an order lie: for a while others come first
    room: dict[str, int] | None = None  #: what is free in the words of a request, once it was asked
    hidden: bool = False  #: from the session that is being placed
    endpoints: dict[str, int] = field(default_factory=dict)  #: kernels by the service they are of
    takes_work: bool = field(init=False)  #: whether anything new may go there

    def __post_init__(self) -> None:
        self.look_again()

    def look_again(self) -> None:
        """Work out whether it takes work: asked some times for each placement, and rarely another answer."""
        away = self.data.drained or self.data.unreadable or self.avoided or self.hidden
        self.takes_work = self.data.status is AgentStatus.READY and not away

    @property
    def takes_nothing_because(self) -> str:
        """Why nothing goes there, whatever it asks."""
        if self.data.drained:
            return "drained"
        if self.data.status is not AgentStatus.READY:
            return str(self.data.status)
        if self.data.unreadable:
            return "known by a spoilt record"
        return "let an order lie" if self.avoided else "at the limit of kernels"

    @property
    def full_of_kernels(self) -> bool:
        """Whether its limit on kernels is reached."""
        return 0 < self.data.max_kernels <= self.kernels
