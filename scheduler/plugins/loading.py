"""Finds plugins by name through entry points; an unknown name is an error, never a silent default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, cast

from scheduler.domain.errors import InvalidSetting, UnknownPlugin
from scheduler.domain.group import ScalingGroupOpts
from scheduler.plugins.interfaces import (
    AbstractAgentSelector,
    AbstractClusterMode,
    AbstractScheduler,
    AbstractValidator,
)
from scheduler.plugins.subscribers import AbstractSubscriber, SubscriberContext

SCHEDULERS = "scheduler.schedulers"
SELECTORS = "scheduler.selectors"
VALIDATORS = "scheduler.validators"
CLUSTER_MODES = "scheduler.cluster_modes"
SUBSCRIBERS = "scheduler.subscribers"


def load_scheduler(
    name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractScheduler:
    """The scheduler of a group, with its options over the configuration. Raises UnknownPlugin, InvalidSetting."""
    found = _load(SCHEDULERS, "scheduler", name)({**config, **opts.scheduler_opts})
    return cast("AbstractScheduler", _checked(found, AbstractScheduler, name))


def load_agent_selector(
    name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractAgentSelector:
    """The agent selector of a group. Raises UnknownPlugin, InvalidSetting."""
    found = _load(SELECTORS, "agent selector", name)({**config, **opts.agent_selector_opts})
    return cast("AbstractAgentSelector", _checked(found, AbstractAgentSelector, name))


def load_subscriber(
    kind: str, opts: Mapping[str, Any], context: SubscriberContext
) -> AbstractSubscriber:
    """A subscriber of a kind. Raises UnknownPlugin, InvalidSetting."""
    found = _load(SUBSCRIBERS, "kind of subscriber", kind)(opts, context)
    return cast("AbstractSubscriber", _checked(found, AbstractSubscriber, kind))


def load_validators() -> tuple[AbstractValidator, ...]:
    """Every installed validator, by name. Raises InvalidSetting where one cannot be imported."""
    names = sorted({point.name for point in entry_points(group=VALIDATORS)})
    return tuple(
        _checked(_load(VALIDATORS, "validator", name)(), AbstractValidator, name) for name in names
    )


def load_cluster_modes() -> dict[str, AbstractClusterMode]:
    """Every installed cluster mode, by name. Raises InvalidSetting where one cannot be imported."""
    return {
        name: _checked(_load(CLUSTER_MODES, "cluster mode", name)(), AbstractClusterMode, name)
        for name in cluster_mode_names()
    }


@lru_cache(maxsize=1)
def cluster_mode_names() -> tuple[str, ...]:
    """The installed cluster modes; what is installed while a program runs is seen by its next start."""
    return tuple(sorted({point.name for point in entry_points(group=CLUSTER_MODES)}))


def check_cluster_mode(name: str) -> None:
    """Refuse a mode nobody installed. Raises UnknownPlugin."""
    if name not in cluster_mode_names():
        raise UnknownPlugin(
            kind="cluster mode", name=name, known=", ".join(cluster_mode_names()) or "none"
        )


def _load(group: str, kind: str, name: str) -> Any:
    points = entry_points(group=group)
    found = {(point.name, point.value): point for point in points if point.name == name}
    if not found:
        raise UnknownPlugin(
            kind=kind, name=name, known=", ".join(sorted({p.name for p in points})) or "none"
        )
    if len(found) > 1:
        raise InvalidSetting(
            name=kind,
            problem=f"two plugins are called {name!r}: {', '.join(v for _, v in sorted(found))}",
        )
    point = next(iter(found.values()))
    try:
        return point.load()
    except Exception as error:
        raise InvalidSetting(
            name=kind, problem=f"plugin {name!r} ({point.value}) cannot be imported: {error}"
        ) from error


def _checked(plugin: object, interface: Any, name: str) -> Any:
    if not isinstance(plugin, interface):
        raise InvalidSetting(name=name, problem=f"the plugin is no {interface.__name__}")
    return plugin
