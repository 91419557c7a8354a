"""The door: plugins by name, the built-in ones too; never a silent default."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, ClassVar

import pytest

from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.domain.errors import InvalidSetting, UnknownPlugin
from scheduler.domain.group import ScalingGroupOpts
from scheduler.plugins import loading
from scheduler.plugins.hooks import AbstractHook, HookResult
from scheduler.plugins.interfaces import ValidatorContext
from scheduler.plugins.loading import (
    load_agent_selector,
    load_cluster_modes,
    load_hooks,
    load_scheduler,
    load_validators,
)

HERE = __name__
OPTS = ScalingGroupOpts()
FIFO = "scheduler.cycle.sequencers.fifo:FifoScheduler"


class Licence(AbstractHook):
    name: ClassVar[str] = "licence"

    def check(self, context: ValidatorContext) -> HookResult:  # noqa: ARG002 - it passes all
        return HookResult.passed()


class Endless(Licence):
    name: ClassVar[str] = "endless"
    budget_ms: ClassVar[int] = 60_000


class Clash(Licence):
    name: ClassVar[str] = "concurrency"


class Abstract(AbstractHook):
    name: ClassVar[str] = "abstract"


class Raising(FifoScheduler):
    """Its constructor raises what nobody expects."""

    name: ClassVar[str] = "raising"

    def __init__(self, opts: Mapping[str, Any]) -> None:
        raise KeyError(f"two\nlines of {sorted(opts)}")


GROUPS = [
    loading.SCHEDULERS,
    loading.SELECTORS,
    loading.VALIDATORS,
    loading.CLUSTER_MODES,
    loading.SUBSCRIBERS,
    loading.HOOKS,
    loading.SEED_SCHEDULERS,
    loading.SEED_SELECTORS,
]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Entry points that are installed, as (name, value)."""
    installed = importlib.metadata.entry_points

    def put(*pairs: tuple[str, str], only: str = "") -> None:
        here = [only] if only else GROUPS
        found = [EntryPoint(name, value, group) for group in here for name, value in pairs]
        kept = [point for group in GROUPS if group not in here for point in installed(group=group)]
        monkeypatch.setattr(loading, "entry_points", EntryPoints([*kept, *found]).select)

    return put


def test_the_built_in_plugins_come_through_the_door() -> None:
    """K1."""
    assert isinstance(load_scheduler("fifo", OPTS, {}), FifoScheduler)
    assert isinstance(load_agent_selector("dispersed", OPTS, {}), DispersedAgentSelector)


def test_every_installed_validator_is_loaded_in_alphabetical_order() -> None:
    """K6, K9."""
    assert [
        "concurrency",
        "dependencies",
        "domain-resource-limit",
        "group-resource-limit",
        "keypair-resource-limit",
        "pending-session-count-limit",
        "pending-session-resource-limit",
        "reserved-batch",
        "scope-resource-limit",
        "user-resource-limit",
    ] == [rule.name for rule in load_validators()]


def test_cluster_modes_are_loaded_by_their_names() -> None:
    """K19."""
    assert {"single-node", "multi-node"} <= load_cluster_modes().keys()


def test_a_cluster_mode_that_is_none_is_refused(install: Callable[..., None]) -> None:
    install(("ring", "scheduler.cycle.validators.concurrency:ConcurrencyValidator"))
    loading.cluster_mode_names.cache_clear()
    try:
        with pytest.raises(InvalidSetting, match="the plugin is no AbstractClusterMode"):
            load_cluster_modes()
    finally:
        loading.cluster_mode_names.cache_clear()


def test_an_unknown_scheduler_is_refused_with_the_names_that_are_known() -> None:
    """K1."""
    with pytest.raises(
        UnknownPlugin,
        match="There is no scheduler named 'astrology'; installed are: drf, fair-share, fifo, lifo",
    ):
        load_scheduler("astrology", OPTS, {})


def test_an_unknown_selector_is_refused_with_the_names_that_are_known() -> None:
    with pytest.raises(
        UnknownPlugin, match="no agent selector named 'x'; installed are: concentrated, dispersed"
    ):
        load_agent_selector("x", OPTS, {})


def test_where_nothing_is_installed_it_says_none(install: Callable[..., None]) -> None:
    install()

    with pytest.raises(UnknownPlugin, match="installed are: none"):
        load_scheduler("fifo", OPTS, {})


def test_two_plugins_of_one_name_are_refused(install: Callable[..., None]) -> None:
    install(("fifo", FIFO), ("fifo", "elsewhere:Fifo"))

    with pytest.raises(InvalidSetting, match="two plugins are called 'fifo'"):
        load_scheduler("fifo", OPTS, {})


def test_the_same_plugin_found_twice_is_one(install: Callable[..., None]) -> None:
    """An editable install beside a wheel shows each entry point twice."""
    install(("fifo", FIFO), ("fifo", FIFO))

    assert isinstance(load_scheduler("fifo", OPTS, {}), FifoScheduler)


def test_a_plugin_that_cannot_be_imported_is_named_with_the_reason(
    install: Callable[..., None],
) -> None:
    install(("fifo", "scheduler.nowhere:Fifo"))

    with pytest.raises(
        InvalidSetting, match=r"plugin 'fifo' \(scheduler.nowhere:Fifo\) cannot be imported"
    ):
        load_scheduler("fifo", OPTS, {})


def test_a_plugin_of_the_wrong_kind_is_refused(install: Callable[..., None]) -> None:
    install(("fifo", "builtins:dict"))

    with pytest.raises(InvalidSetting, match="the plugin is no AbstractScheduler"):
        load_scheduler("fifo", OPTS, {})


def test_an_option_of_the_group_reaches_the_plugin_over_the_configuration(
    install: Callable[..., None],
) -> None:
    install(("fifo", FIFO))

    with pytest.raises(InvalidSetting, match="fifo has no option 'colour'"):
        load_scheduler("fifo", ScalingGroupOpts(scheduler_opts={"colour": "red"}), {})


def test_every_installed_hook_is_loaded_in_alphabetical_order(install: Callable[..., None]) -> None:
    """K9."""
    install(("licence", f"{HERE}:Licence"), only=loading.HOOKS)

    assert ["licence"] == [hook.name for hook in load_hooks()]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("endless", "Endless", "budget_ms of hook 'endless' must be 1 to 1000, got 60000"),
        ("concurrency", "Clash", "a validator and a hook are called 'concurrency'"),
        ("abstract", "Abstract", "cannot be made: TypeError: Can't instantiate abstract class"),
        ("other", "Licence", "must have that as its name, too, got 'licence'"),
    ],
)
def test_a_hook_that_cannot_be_used_is_named(
    install: Callable[..., None], name: str, value: str, says: str
) -> None:
    install((name, f"{HERE}:{value}"), only=loading.HOOKS)

    with pytest.raises(InvalidSetting) as refusal:
        load_hooks()

    assert says in str(refusal.value)
    assert name in str(refusal.value)


def test_a_plugin_whose_constructor_raises_is_named_in_one_line(
    install: Callable[..., None],
) -> None:
    """K1."""
    install(("raising", f"{HERE}:Raising"))

    with pytest.raises(
        InvalidSetting, match=r"plugin 'raising' .* cannot be made: KeyError: .two\\nlines of \[\]"
    ) as refusal:
        load_scheduler("raising", OPTS, {})

    assert "\n" not in str(refusal.value)
