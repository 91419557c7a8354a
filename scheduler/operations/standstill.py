"""What keeps all sessions of a group from being placed: a pause, no agent that takes work, a leader that hangs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.domain.agent import AgentStatus
from scheduler.domain.group import ScalingGroup
from scheduler.operations.checks import Check, Level

#: What to do about a leader that stands still.
HANGS = (
    "a plugin of the group may hang: the replica's log tells where (leader.hangs);"
    " restart that replica, or change what the group uses and then restart it"
)


@dataclass(frozen=True, slots=True)
class Pool:
    """How the agents of a group stand."""

    known: int = 0  #: those that left are not counted
    ready: int = 0
    drained: int = 0  #: of those that are ready


def pool_of(standings: Mapping[tuple[str, bool], int]) -> Pool:
    """Count agents by (status, drained)."""
    known = sum(n for (status, _), n in standings.items() if status != AgentStatus.LEFT)
    ready = {drained: standings.get((AgentStatus.READY, drained), 0) for drained in (False, True)}
    return Pool(known, sum(ready.values()), ready[True])


def standing_still_ms(leadership: Mapping[str, str], now_ms: int) -> int:
    """For how long the leader's turn has gone on, in ms, where that is longer than it should; else 0."""
    since = leadership.get("turn_since", "")
    leads = leadership["lock"] and leadership["lock"] == leadership.get("nonce")
    return max(1, now_ms - int(since)) if leads and since.isdigit() else 0


def check_placing(group: ScalingGroup, pool: Pool, waiting: int) -> Check:
    """Whether anything can be placed in a group; a problem only where nobody wanted it so."""
    name, wait = f"placing in {group.name}", f"{waiting} READY sessions wait"
    if group.paused:
        says = f"the group is paused: {group.paused}; {wait}; `scheduler group resume {group.name}` ends it"
        return Check(name, Level.WARNING, says)
    if pool.ready and pool.drained == pool.ready:
        says = f"all {pool.ready} ready agents are drained; {wait}; `scheduler agent undrain ID` ends it"
        return Check(name, Level.WARNING, says)
    if waiting and not pool.ready:
        level = Level.PROBLEM if pool.known else Level.WARNING
        there = f"none of {pool.known} agents is ready" if pool.known else "there are no agents"
        return Check(name, level, f"{there}; {wait}; see `scheduler agent list`")
    return Check(name, Level.OK, f"{pool.ready - pool.drained} agents take work; {wait}")
