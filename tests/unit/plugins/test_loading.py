"""The door: plugins by name, the built-in ones too; never a silent default."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.domain.errors import InvalidSetting, UnknownPlugin
from scheduler.domain.group import ScalingGroupOpts
from scheduler.plugins import loading
from scheduler.plugins.loading import (
    load_agent_selector,
    load_cluster_modes,
    load_scheduler,
    load_validators,
)

OPTS = ScalingGroupOpts()
FIFO = "scheduler.cycle.sequencers.fifo:FifoScheduler"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Entry points that are installed, as (name, value)."""

    def put(*pairs: tuple[str, str]) -> None:
        monkeypatch.setattr(
            loading,
            "entry_points",
            lambda *, group: [EntryPoint(name, value, group) for name, value in pairs],
        )

    return put


def test_the_built_in_plugins_come_through_the_door() -> None:
    """K1."""
    assert isinstance(load_scheduler("fifo", OPTS, {}), FifoScheduler)
    assert isinstance(load_agent_selector("dispersed", OPTS, {}), DispersedAgentSelector)


def test_every_installed_validator_is_loaded_in_alphabetical_order() -> None:
    """K6, K9."""
    assert ["concurrency", "dependencies", "reserved-batch"] == [
        rule.name for rule in load_validators()
    ]


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
