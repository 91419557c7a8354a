"""The agent's side of the store: it takes orders from its own keys and appends reports, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import redis

from scheduler.protocol import names
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_CLAIM = Script.load("agent/claim")
_REPORT = Script.load("agent/report")
_BEAT = Script.load("agent/beat")
_LOG = Script.load("agent/log")
#: Stops cleared by one beat; the next one clears the rest.
_MOST_OVER = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What the leader's record says to a boot that beats.

    ``word`` is ok, wait, refused, superseded or unknown. A boot that was never ok reads superseded
    as "my registration was not applied yet". ``stops`` maps order id to the signed stop order.
    """

    word: str
    reason: str
    stops: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """One order taken: its id, its signed text, the number of the claim."""

    order: str
    text: str
    number: int


class Superseded(Exception):
    """Another boot of this agent was admitted."""


class AgentMailbox:
    """Claims, reports, beats and logs of one agent. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, agent: str, group: str) -> None:
        self._client = client
        self._keys = Keys(namespace)
        self._agent = agent
        self._group = group

    def claim(self, boot: str, orders: Sequence[str], report: Mapping[str, str]) -> list[Claimed]:
        """Take orders, at most 200 different ones; ``report`` claims each of them, in the same order.

        Orders that were withdrawn meanwhile are missing from the answer. Raises Superseded.
        """
        with speaking_to(self._client):
            word, *rest = _CLAIM(
                self._client,
                self._keys.root,
                agent=self._agent,
                boot=boot,
                group=self._group,
                orders=list(orders),
                report=dict(report),
            )
        if word == "superseded":
            raise Superseded
        return [
            Claimed(order, text, int(number))
            for order, text, number in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        ]

    def lying(self) -> list[str]:
        """Ids of the orders that lie on the agent's keys and were not claimed yet."""
        with speaking_to(self._client):
            return cast("list[str]", self._client.hkeys(self._keys.orders(self._agent)))

    def report(self, reports: Sequence[Mapping[str, str]]) -> None:
        """Append encoded reports, in order; saying one twice is harmless."""
        with speaking_to(self._client):
            _REPORT(self._client, self._keys.root, group=self._group, reports=list(reports))

    def beat(
        self,
        boot: str,
        ttl_ms: int,
        *,
        claims: int,
        running: Sequence[str],
        over: Sequence[str] = (),
    ) -> Answer:
        """Renew the lease, hear the answer; ``over``: orders whose stop has been carried out and told."""
        text = json.dumps(
            {"boot": boot, "claims": claims, "running": list(running)}, separators=(",", ":")
        )
        with speaking_to(self._client):
            word, *rest = _BEAT(
                self._client,
                self._keys.root,
                agent=self._agent,
                boot=boot,
                ttl_ms=ttl_ms,
                beat=text,
                over=" ".join(list(over)[:_MOST_OVER]),
            )
        reason, *stops = rest or [""]
        return Answer(word, reason, dict(zip(stops[::2], stops[1::2], strict=True)))

    def stop_order(self, order: str) -> str | None:
        """The signed stop order for one order, if one stands."""
        with speaking_to(self._client):
            return cast("str | None", self._client.hget(self._keys.stops(self._agent), order))

    def log(self, order: str, stream: str, text: str, *, cap: int, ttl_s: int) -> bool:
        """Append output of a kernel; False once its log is full (cap in bytes)."""
        with speaking_to(self._client):
            word = _LOG(
                self._client,
                self._keys.root,
                agent=self._agent,
                order=order,
                stream=stream,
                text=text,
                cap=cap,
                ttl_s=ttl_s,
            )[0]
        return bool(word == "kept")

    @property
    def queue_name(self) -> str:
        """The name of the agent's one RQ queue."""
        return names.queue_name(self._keys.root, self._agent)
