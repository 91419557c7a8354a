"""What a group's options name, loaded."""

from __future__ import annotations

from scheduler.cycle.hooks import HookChain, Hooks
from scheduler.cycle.scheduler import Policy
from scheduler.domain.group import ScalingGroupOpts, backfill_of
from scheduler.plugins.loading import (
    load_agent_selector,
    load_cluster_modes,
    load_hooks,
    load_scheduler,
    load_validators,
)


def load_policy(options: ScalingGroupOpts, hooks: Hooks | None = None) -> Policy:
    """The plugins a group's options name, with these hooks or all. Raises UnknownPlugin, InvalidSetting."""
    return Policy(
        scheduler=load_scheduler(options.scheduler, options, {}),
        selector=load_agent_selector(options.agent_selector, options, {}),
        validators=load_validators(),
        grows=options.grows,
        backfill=backfill_of(options.backfill),
        modes=load_cluster_modes(),
        hooks=HookChain(load_hooks()) if hooks is None else hooks,
    )
