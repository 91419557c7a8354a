"""Writes orders: what is proposed becomes a move whose texts are signed for each agent."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from scheduler.cycle.plan import Placement
from scheduler.domain.ids import new_nonce
from scheduler.domain.moves import Place
from scheduler.domain.request import charge_text, parse_request_text
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.protocol import order as wire
from scheduler.protocol.names import parse_order_id
from scheduler.protocol.order import DeadlineOrder, StartOrder, StopOrder
from scheduler.protocol.signing import agent_key


@lru_cache(maxsize=65_536)
def _charge(request: str) -> str:
    """What a request, given by its text, charges its scopes."""
    return charge_text(parse_request_text(request))


class OrderBook:
    """Signs orders with each agent's key, which it derives from the cluster's secret."""

    def __init__(
        self, secret: str, namespace: str, group: str, address_of: Callable[[str], str]
    ) -> None:
        self._secret = secret
        self._namespace = namespace
        self._group = group
        self._address_of = address_of

    def key(self, agent: str) -> str:
        """The agent's key."""
        return agent_key(self._secret, self._namespace, agent)

    def place(
        self, placement: Placement, claim_timeout_ms: int, now_ms: int = 0
    ) -> tuple[Place, PlacedSession]:
        """The move that commits a placement under a fresh nonce, and the session once it is committed."""
        session, nonce = placement.session, new_nonce()
        request, bindings = session.request, placement.bindings
        hosts = [self._address_of(binding.agent) for binding in bindings]
        on_lost, timeout_ms = str(request.on_lost), session.timeout_ms
        kernels, placed = [], []
        for binding in bindings:
            index, agent, boot, slots = binding.kernel, binding.agent, binding.boot, binding.slots
            order = StartOrder(
                agent=agent,
                boot=boot,
                group=self._group,
                session=session.id,
                kernel=index,
                placement=nonce,
                attempt=session.attempt + 1,
                name=session.name,
                keypair=request.keypair,
                slots=slots,
                timeout_ms=timeout_ms,
                payload_sha256=session.digest,
                on_lost=on_lost,
                hosts=hosts,
                done_pattern=request.done_pattern,
                silence_ms=request.silence_ms,
            )
            text = wire.encode(order, self.key(agent))
            kernels.append({"agent": agent, "boot": boot, "slots": slots, "order": text})
            placed.append(PlacedKernel(index, KernelState.ORDERED, agent, boot, slots))
        move = Place(
            session=session.id,
            placement=nonce,
            agents=" ".join({binding.agent: None for binding in bindings}),
            kernels=kernels,
            held=_charge(request.text),
            timer=claim_timeout_ms,
            timeout=request.timeout_ms if request.inherits else 0,
        )
        return move, PlacedSession(
            id=session.id,
            state=SessionState.SCHEDULED,
            request=request,
            placement=nonce,
            kernels=tuple(placed),
            attempt=session.attempt,
            retries_from=session.retries_from,
            rescues=session.rescues,
            priority=session.priority,
            placed_at=now_ms,
            own_timeout_ms=session.own_timeout_ms,
        )

    def deadline(self, session: PlacedSession) -> list[dict[str, Any]]:
        """How long its kernels may run, as their agents are told: [{index, agent, text}]."""
        return [
            {
                "index": kernel.index,
                "agent": kernel.agent,
                "text": wire.encode(
                    DeadlineOrder(
                        agent=kernel.agent,
                        boot=kernel.boot,
                        order=session.order(kernel.index),
                        timeout_ms=session.timeout_ms,
                    ),
                    self.key(kernel.agent),
                ),
            }
            for kernel in session.kernels
            if kernel.live
        ]

    def stop(self, session: PlacedSession, kernel: PlacedKernel, reason: str) -> str:
        """A signed order to stop one kernel."""
        order = StopOrder(
            agent=kernel.agent, boot=kernel.boot, order=session.order(kernel.index), reason=reason
        )
        return wire.encode(order, self.key(kernel.agent))

    def stop_unknown(self, agent: str, boot: str, order: str) -> str | None:
        """A signed order to stop a kernel no session knows of; None if the id is none."""
        if parse_order_id(order) is None:
            return None
        return wire.encode(
            StopOrder(agent=agent, boot=boot, order=order, reason="lost"), self.key(agent)
        )
