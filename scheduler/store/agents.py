"""The repository of agents, as operators and the leader see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import redis

from scheduler.domain.agent import AgentData, Beat
from scheduler.domain.errors import AgentBeats, AgentInUse, AgentNotFound
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.rows import agent_from_record, beat_from_text
from scheduler.store.script import Script

_DRAIN = Script.load("agent/drain")
_DECLARE_LOST = Script.load("agent/declare_lost")
_REMOVE = Script.load("agent/remove")


class AgentRepository:
    """Agents of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def ids(self, group: str) -> list[str]:
        """Agents of a group."""
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.group_agents(group))))

    def many(self, agents: Iterable[str]) -> list[AgentData]:
        """Those of the given agents that exist."""
        return [agent_from_record(agent, record) for agent, record in self.records(agents).items()]

    def records(self, agents: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """The same as they are stored."""
        wanted = list(agents)
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for agent in wanted:
                pipe.hgetall(self._keys.record(agent))
            records = pipe.execute()
        return {agent: record for agent, record in zip(wanted, records, strict=True) if record}

    def get(self, agent: str) -> AgentData:
        """One agent. Raises AgentNotFound."""
        found = self.many([agent])
        if not found:
            raise AgentNotFound(agent=agent)
        return found[0]

    def beats(self, agents: Iterable[str]) -> dict[str, Beat]:
        """The last beats of the given agents, without those that expired or make no sense."""
        wanted = list(agents)
        if not wanted:
            return {}
        with speaking_to(self._client):
            texts = cast(
                "list[str | None]", self._client.mget([self._keys.beat(agent) for agent in wanted])
            )
        return {
            agent: beat
            for agent, text in zip(wanted, texts, strict=True)
            if text and (beat := beat_from_text(text))
        }

    def drain(self, agent: str) -> None:
        """Give it nothing new; what runs goes on. Raises AgentNotFound."""
        self._set_drained(agent, "1")

    def undrain(self, agent: str) -> None:
        """Give it work again. Raises AgentNotFound."""
        self._set_drained(agent, "0")

    def _set_drained(self, agent: str, drained: str) -> None:
        with speaking_to(self._client):
            word = _DRAIN(self._client, self._keys.root, agent=agent, drained=drained)[0]
        if word == "gone":
            raise AgentNotFound(agent=agent)

    def declare_lost(self, agent: str, *, force: bool = False) -> None:
        """An operator vouches that its machine is dead: rescue its sessions now.

        One that beats is refused unless it is forced. Raises AgentNotFound, AgentBeats.
        """
        with speaking_to(self._client):
            word, *told = _DECLARE_LOST(
                self._client, self._keys.root, agent=agent, force=int(force)
            )
        if word == "gone":
            raise AgentNotFound(agent=agent)
        if word == "beats":
            raise AgentBeats(agent=agent, ago=f"{int(told[0]) / 1000:.1f}")

    def remove(self, agent: str) -> None:
        """Forget an agent that is gone. Raises AgentNotFound, AgentInUse."""
        with speaking_to(self._client):
            word = _REMOVE(self._client, self._keys.root, agent=agent)[0]
        if word == "gone":
            raise AgentNotFound(agent=agent)
        if word == "in_use":
            data = self.get(agent)
            raise AgentInUse(agent=agent, kernels=f"status {data.status}")
