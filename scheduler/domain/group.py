"""Scaling groups: a pool of agents with its scheduler, selector and options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from scheduler.domain.errors import InvalidSetting

DEFAULT_GROUP = "default"
#: Which options belong to which plugin.
PLUGIN_OPTS = {"scheduler": "scheduler_opts", "agent_selector": "agent_selector_opts"}


class Backfill(StrEnum):
    """To whom room is promised that is not free yet."""

    EASY = "easy"  #: the first blocked session
    CONSERVATIVE = "conservative"  #: the first of each kind of request that is blocked
    NONE = "none"  #: nobody


def backfill_of(text: str) -> Backfill:
    """Read the option. Raises InvalidSetting."""
    try:
        return Backfill(text)
    except ValueError:
        problem = f"{text!r} is unknown; there are {', '.join(Backfill)}"
        raise InvalidSetting(name="backfill", problem=problem) from None


@dataclass(frozen=True, slots=True)
class ScalingGroupOpts:
    """How a group schedules; kept in Redis, changed while it runs."""

    scheduler: str = "fifo"
    scheduler_opts: dict[str, Any] = field(default_factory=dict)
    agent_selector: str = "concentrated"
    agent_selector_opts: dict[str, Any] = field(default_factory=dict)
    #: Who gets a reservation when there is no room: a value of Backfill.
    backfill: str = Backfill.EASY
    #: Agents may be added by something outside: what fits none of today's waits, and is not refused.
    grows: bool = False
    #: How long a session may wait before it is cancelled; None is for ever.
    pending_timeout_ms: int | None = None
    barrier_timeout_ms: int = 60_000
    claim_timeout_ms: int = 10_000
    max_rescues: int = 3
    #: A second policy that decides beside this one and places nothing: some of the four first options.
    shadow: dict[str, Any] = field(default_factory=dict)


def shadowed(options: ScalingGroupOpts) -> ScalingGroupOpts | None:
    """The options by which the shadow decides, the group's own where it names no other; None without one."""
    if not options.shadow:
        return None
    changes: dict[str, Any] = {}
    for plugin, opts in PLUGIN_OPTS.items():
        own = getattr(options, plugin)
        changes[plugin] = options.shadow.get(plugin, own)
        kept = getattr(options, opts) if plugin not in options.shadow else {}
        changes[opts] = {**kept, **options.shadow.get(opts, {})}
    return replace(options, shadow={}, **changes)


@dataclass(frozen=True, slots=True)
class ScalingGroup:
    """A group as it stands: its options, which revision of them, and whether it is paused."""

    name: str
    options: ScalingGroupOpts
    revision: int
    paused: str  #: why nothing new is placed, or ""


@dataclass(frozen=True, slots=True)
class GroupRevision:
    """The options as they were set once."""

    revision: int
    at: int  #: ms of Redis' clock
    says: str  #: what made it: set, or the revision that was rolled back to
    options: ScalingGroupOpts
