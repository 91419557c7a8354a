"""What every RQ job of ours names. It runs nothing: a stock worker that takes one is told so."""

from __future__ import annotations


class WrongWorkerError(RuntimeError):
    """A stock RQ worker took an order."""


def run_order(agent: str = "ID", order: str = "") -> None:
    """Refuse: only the agent can check the order's signature and claim it."""
    what = f"Order {order}" if order else "This order"
    raise WrongWorkerError(
        f"{what} is for agent {agent}, not for a stock RQ worker: stop this worker and start"
        f" `scheduler agent run --id {agent}`; the scheduler places the session again."
    )
