"""Finds plugins by name through entry points; an unknown name is an error, never a silent default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, cast

from scheduler.domain.errors import InvalidInput, InvalidSetting, UnknownPlugin
from scheduler.domain.group import ScalingGroupOpts
from scheduler.plugins.adapter import adapt_scheduler, adapt_selector
from scheduler.plugins.hooks import AbstractHook
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
HOOKS = "scheduler.hooks"
#: Schedulers and selectors written against the seeds' interfaces, chosen by name like any other.
SEED_SCHEDULERS = "scheduler.seed_schedulers"
SEED_SELECTORS = "scheduler.seed_selectors"

#: A hook may not hold up a leader for longer, ms.
LARGEST_BUDGET_MS = 1_000
_LONGEST_ERROR = 300


def check_installed() -> list[str]:
    """Import every installed plugin; of schedulers and selectors that cannot be used here, a sentence each.

    Those stand in nobody's way who does not choose them. Validators, hooks and cluster modes hold for
    every group: without one, what it forbids would run. Raises InvalidSetting for the first of these
    that cannot be used.
    """
    load_validators()
    load_hooks()
    load_cluster_modes()
    return unusable_choices()


def unusable_choices() -> list[str]:
    """Installed schedulers and selectors that no group could use: a sentence each."""
    found = []
    for kind, groups in (
        ("scheduler", (SCHEDULERS, SEED_SCHEDULERS)),
        ("agent selector", (SELECTORS, SEED_SELECTORS)),
    ):
        for name in _names(*groups):
            try:
                _import(_find(kind, name, *groups), kind)
            except InvalidSetting as error:
                found.append(str(error))
    return found


def scheduler_names() -> list[str]:
    """Every installed scheduler."""
    return _names(SCHEDULERS, SEED_SCHEDULERS)


def selector_names() -> list[str]:
    """Every installed agent selector."""
    return _names(SELECTORS, SEED_SELECTORS)


def load_scheduler(
    name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractScheduler:
    """The scheduler of a group, with its options over the configuration. Raises UnknownPlugin, InvalidSetting."""
    point = _find("scheduler", name, SCHEDULERS, SEED_SCHEDULERS)
    given = {**config, **opts.scheduler_opts}

    def adapted(made: Any) -> AbstractScheduler:
        return adapt_scheduler(made, name, opts, given)

    how = adapted if point.group == SEED_SCHEDULERS else lambda made: made(given)
    return cast("AbstractScheduler", _make(point, "scheduler", AbstractScheduler, how))


def load_agent_selector(
    name: str, opts: ScalingGroupOpts, config: Mapping[str, Any]
) -> AbstractAgentSelector:
    """The agent selector of a group. Raises UnknownPlugin, InvalidSetting."""
    point = _find("agent selector", name, SELECTORS, SEED_SELECTORS)
    given = {**config, **opts.agent_selector_opts}

    def adapted(made: Any) -> AbstractAgentSelector:
        return adapt_selector(made, name, opts, given)

    how = adapted if point.group == SEED_SELECTORS else lambda made: made(given)
    return cast("AbstractAgentSelector", _make(point, "agent selector", AbstractAgentSelector, how))


def load_subscriber(
    kind: str, opts: Mapping[str, Any], context: SubscriberContext
) -> AbstractSubscriber:
    """A subscriber of a kind. Raises UnknownPlugin, InvalidSetting."""
    what = "kind of subscriber"
    point = _find(what, kind, SUBSCRIBERS)
    made = _make(point, what, AbstractSubscriber, lambda made: made(opts, context))
    return cast("AbstractSubscriber", made)


def load_validators() -> tuple[AbstractValidator, ...]:
    """Every installed validator, by name. Raises InvalidSetting where one cannot be imported."""
    return tuple(
        _make(_find("validator", name, VALIDATORS), "validator", AbstractValidator)
        for name in _names(VALIDATORS)
    )


def load_hooks() -> tuple[AbstractHook, ...]:
    """Every installed hook, by name. Raises InvalidSetting where one cannot be used."""
    hooks = []
    for name in _names(HOOKS):
        hook: AbstractHook = _make(_find("hook", name, HOOKS), "hook", AbstractHook)
        budget: object = hook.budget_ms
        if not isinstance(budget, int) or not 0 < budget <= LARGEST_BUDGET_MS:
            problem = (
                f"budget_ms of hook {name!r} must be 1 to {LARGEST_BUDGET_MS}, got {budget!r:.80}"
            )
            raise InvalidSetting(name="hook", problem=problem)
        if name in _names(VALIDATORS):
            # What it refused would be told as the validator's.
            problem = f"a validator and a hook are called {name!r}"
            raise InvalidSetting(name="hook", problem=problem)
        hooks.append(hook)
    return tuple(hooks)


def load_cluster_modes() -> dict[str, AbstractClusterMode]:
    """Every installed cluster mode, by name. Raises InvalidSetting where one cannot be imported."""
    return {
        name: _make(_find("cluster mode", name, CLUSTER_MODES), "cluster mode", AbstractClusterMode)
        for name in cluster_mode_names()
    }


@lru_cache(maxsize=1)
def cluster_mode_names() -> tuple[str, ...]:
    """The installed cluster modes; what is installed while a program runs is seen by its next start."""
    return tuple(_names(CLUSTER_MODES))


def check_cluster_mode(name: str) -> None:
    """Refuse a mode nobody installed. Raises UnknownPlugin."""
    if name not in cluster_mode_names():
        raise UnknownPlugin(
            kind="cluster mode", name=name, known=", ".join(cluster_mode_names()) or "none"
        )


@lru_cache(maxsize=1)
def _installed(read: Callable[[], EntryPoints]) -> EntryPoints:
    """Read once: a leader asks fifty times before it places anything, 4 ms each where much is installed."""
    return read()


def _points(*groups: str) -> list[EntryPoint]:
    installed = _installed(entry_points)
    return [point for group in groups for point in installed.select(group=group)]


def _names(*groups: str) -> list[str]:
    return sorted({point.name for point in _points(*groups)})


def _find(kind: str, name: str, *groups: str) -> EntryPoint:
    points = _points(*groups)
    # An editable install beside a wheel shows each entry point twice.
    found = {point.value: point for point in reversed(points) if point.name == name}
    if not found:
        raise UnknownPlugin(
            kind=kind, name=name, known=", ".join(sorted({p.name for p in points})) or "none"
        )
    if len(found) > 1:
        raise InvalidSetting(
            name=kind,
            problem=f"two plugins are called {name!r}: {', '.join(sorted(found))}",
        )
    return next(iter(found.values()))


def _make(
    point: EntryPoint, kind: str, interface: Any, how: Callable[[Any], object] = lambda made: made()
) -> Any:
    """A plugin that can be used, or one sentence about why not; whatever it raises is told by its name."""
    made, who = _import(point, kind), _called(point)
    try:
        plugin = how(made)
    except InvalidInput:
        raise
    except Exception as error:
        problem = f"{who} cannot be made: {_told(error)}"
        raise InvalidSetting(name=kind, problem=problem) from error
    if not isinstance(plugin, interface):
        raise InvalidSetting(name=kind, problem=f"{who}: the plugin is no {interface.__name__}")
    if (called := getattr(plugin, "name", None)) != point.name:
        problem = f"{who} must have that as its name, too, got {called!r:.80}"
        raise InvalidSetting(name=kind, problem=problem)
    return plugin


def _import(point: EntryPoint, kind: str) -> Any:
    try:
        return point.load()
    except Exception as error:
        problem = f"{_called(point)} cannot be imported: {_told(error)}"
        raise InvalidSetting(name=kind, problem=problem) from error


def _called(point: EntryPoint) -> str:
    return f"plugin {point.name!r} ({point.value})"


def _told(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_ERROR]
