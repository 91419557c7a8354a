"""Who this agent is, in this life."""

from __future__ import annotations

from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from scheduler.observability.logs import get_logger
from scheduler.protocol.names import parse_order_id
from scheduler.protocol.report import KernelReport, ReportKind


@dataclass(frozen=True, slots=True)
class Identity:
    """One boot of one agent, and the key it signs with."""

    agent: str
    group: str
    boot: str
    key: str = field(repr=False)

    def log(self) -> FilteringBoundLogger:
        """A logger whose lines say who speaks."""
        return get_logger(agent=self.agent, boot=self.boot[:8])

    def report(
        self, order: str, kind: ReportKind, *, reason: str = "", error: str = ""
    ) -> KernelReport:
        """A report on an order of which nothing but the id is known."""
        found = parse_order_id(order)
        if found is None:
            raise ValueError(f"{order!r} is no order id")
        return KernelReport(
            kind=kind,
            agent=self.agent,
            boot=self.boot,
            session=found.session,
            kernel=found.kernel,
            placement=found.placement,
            reason=reason,
            error=error,
        )
