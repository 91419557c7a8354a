"""Changing how a group schedules: every option is read by the plugin it is for before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from scheduler.domain.errors import RevisionNotFound
from scheduler.domain.group import ScalingGroupOpts, backfill_of
from scheduler.plugins.loading import load_agent_selector, load_scheduler
from scheduler.store.groups import GroupRepository

#: Which options belong to which plugin.
_PLUGINS = {"scheduler": "scheduler_opts", "agent_selector": "agent_selector_opts"}


def create_group(groups: GroupRepository, name: str, asked: Mapping[str, Any]) -> int:
    """Create a group; its first revision.

    Raises GroupExists, UnknownPlugin, InvalidSetting.
    """
    return groups.create(name, _checked(ScalingGroupOpts(), asked))


def change_group(
    groups: GroupRepository, name: str, asked: Mapping[str, Any], *, expected: int | None = None
) -> tuple[int, bool]:
    """Change the options named; the revision it is at then, and whether that is a new one.

    An option of a plugin that is None is taken back; another plugin begins without those of the one
    before it. ``expected`` is the revision that must be in force. Raises GroupNotFound,
    RevisionConflict, UnknownPlugin, InvalidSetting.
    """
    found = groups.read(name)
    # What was checked is what is changed: options may depend on each other.
    now = groups.change(name, _checked(found.options, asked), expected=expected or found.revision)
    return now, now != found.revision


def roll_back_group(groups: GroupRepository, name: str, revision: int) -> int:
    """Set all options to what they were at a revision; the new revision.

    Raises GroupNotFound, RevisionNotFound, UnknownPlugin, InvalidSetting.
    """
    then = next((r.options for r in groups.history(name) if r.revision == revision), None)
    if then is None:
        raise RevisionNotFound(group=name, revision=revision)
    _load(then)
    return groups.change(name, asdict(then), says=f"back to revision {revision}")


def _checked(now: ScalingGroupOpts, asked: Mapping[str, Any]) -> dict[str, Any]:
    changes = dict(asked)
    for plugin, opts in _PLUGINS.items():
        if plugin not in asked and opts not in asked:
            continue
        another = asked.get(plugin, getattr(now, plugin)) != getattr(now, plugin)
        merged = ({} if another else getattr(now, opts)) | asked.get(opts, {})
        changes[opts] = {key: value for key, value in merged.items() if value is not None}
    _load(replace(now, **changes))
    return changes


def _load(options: ScalingGroupOpts) -> None:
    backfill_of(options.backfill)
    load_scheduler(options.scheduler, options, {})
    load_agent_selector(options.agent_selector, options, {})
