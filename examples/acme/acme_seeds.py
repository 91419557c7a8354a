"""Plugins written against the interfaces of the seeds: they know nothing of this project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Turns:
    """Who has the fewest sessions running is next."""

    def __init__(self, sgroup_opts: Any, config: Mapping[str, Any]) -> None:
        self.sgroup_opts = sgroup_opts
        self.config = config

    def prioritize(self, pending_sessions: Sequence[Any]) -> Sequence[Any]:
        highest = max(session.priority for session in pending_sessions)
        return [session for session in pending_sessions if session.priority == highest]

    def pick_session(
        self,
        total_capacity: Mapping[str, int],  # noqa: ARG002 - turns count sessions, not slots
        pending_sessions: Sequence[Any],
        existing_sessions: Sequence[Any],
    ) -> str | None:
        running: dict[str, int] = {}
        for session in existing_sessions:
            running[session.access_key] = running.get(session.access_key, 0) + 1
        chosen = min(pending_sessions, key=lambda s: (running.get(s.access_key, 0), s.created_at))
        return str(chosen.id)

    def update_allocation(self, scheduled_session: Any) -> None:
        """Nothing is kept: existing sessions tell it all."""


class Emptiest:
    """The agent with the least in use."""

    def assign_agent_for_session(self, agents: Sequence[Any], pending_session: Any) -> str | None:  # noqa: ARG002 - whatever it asks
        return self._emptiest(agents)

    def assign_agent_for_kernel(self, agents: Sequence[Any], pending_kernel: Any) -> str | None:  # noqa: ARG002 - whatever it asks
        return self._emptiest(agents)

    @staticmethod
    def _emptiest(agents: Sequence[Any]) -> str | None:
        return str(min(agents, key=lambda agent: (agent.occupied_slots["cpu"], agent.id)).id)
