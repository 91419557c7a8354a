"""Changing how a group schedules: every option is read by the plugin it is for before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final, Protocol

from scheduler.domain.errors import GroupAwaited, GroupOnRecord, RevisionNotFound
from scheduler.domain.group import PLUGIN_OPTS, ScalingGroupOpts, backfill_of, shadowed
from scheduler.operations.forgetting import Store as Forgetting
from scheduler.operations.forgetting import forget_ended
from scheduler.plugins.loading import load_agent_selector, load_scheduler
from scheduler.store.groups import GroupRepository
from scheduler.store.retrying import USUAL, RepeatPolicy, retry_txn

#: It is set for each session when that begins to wait.
PENDING_TIMEOUT: Final = "pending_timeout_ms"


def create_group(groups: GroupRepository, name: str, asked: Mapping[str, Any]) -> int:
    """Create a group; its first revision.

    Raises GroupExists, UnknownPlugin, InvalidSetting.
    """
    return groups.create(name, _checked(ScalingGroupOpts(), asked))


def change_group(
    groups: GroupRepository,
    name: str,
    asked: Mapping[str, Any],
    *,
    expected: int | None = None,
    repeats: RepeatPolicy = USUAL,
) -> tuple[int, bool]:
    """Change the options named; the revision it is at then, and whether that is a new one.

    An option of a plugin that is None is taken back; another plugin begins without those of the one
    before it. ``expected`` is the revision that must be in force; without it, what somebody changed
    meanwhile is read and checked again, as ``repeats`` says. Raises GroupNotFound,
    RevisionConflict, UnknownPlugin, InvalidSetting.
    """

    def change() -> tuple[int, bool]:
        found = groups.read(name)
        # What was checked is what is changed: options may depend on each other.
        changes = _checked(found.options, asked)
        now = groups.change(name, changes, expected=expected or found.revision)
        if PENDING_TIMEOUT in changes:
            groups.retime(name)
        return now, now != found.revision

    # Who named a revision wants to look again himself.
    return change() if expected else retry_txn(change, repeats)


def roll_back_group(groups: GroupRepository, name: str, revision: int) -> int:
    """Set all options to what they were at a revision; the new revision.

    Raises GroupNotFound, RevisionNotFound, UnknownPlugin, InvalidSetting.
    """
    then = next((r.options for r in groups.history(name) if r.revision == revision), None)
    if then is None:
        raise RevisionNotFound(group=name, revision=revision)
    _load(then)
    now = groups.change(name, asdict(then), says=f"back to revision {revision}")
    groups.retime(name)
    return now


class DeletingStore(Forgetting, Protocol):
    """What a group is deleted from."""

    @property
    def groups(self) -> GroupRepository: ...


def delete_group(store: DeletingStore, name: str, *, forget: bool = False) -> None:
    """Delete a group that has no agents, no sessions and no leader.

    With ``forget`` its ended sessions are forgotten first, as retention does it: records, results, logs,
    idempotency keys. That goes step by step; a repeat goes on where one was broken off.
    Raises GroupNotFound, GroupInUse, GroupOnRecord, GroupAwaited.
    """
    while True:
        try:
            return store.groups.delete(name)
        except GroupOnRecord as refused:
            if not forget:
                raise
            # Before the first session is forgotten it was found that nothing else is left.
            if not sum(forget_ended(store, name, store.retention.now_ms())):
                raise GroupAwaited(group=name, sessions=refused.facts["sessions"]) from refused


def _checked(now: ScalingGroupOpts, asked: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: getattr(now, name) for names in PLUGIN_OPTS.items() for name in names}
    changes = {**asked, **_merged(own, asked)}
    if shadow := asked.get("shadow"):
        changes["shadow"] = _shadow(own, now.shadow, shadow)
    _load(replace(now, **changes))
    return changes


def _shadow(
    own: Mapping[str, Any], now: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """What the shadow was told, with what is asked of it."""
    known = dict(now)
    for plugin, opts in PLUGIN_OPTS.items():
        if opts in asked and plugin not in asked and plugin not in known:
            # Options alone try out others for the plugin that is in force now.
            known |= {plugin: own[plugin], opts: own[opts]}
    return {**known, **asked, **_merged(known, asked)}


def _merged(now: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the plugins that were asked for, put together from both."""
    changes = {}
    for plugin, opts in PLUGIN_OPTS.items():
        if plugin not in asked and opts not in asked:
            continue
        another = asked.get(plugin, now.get(plugin)) != now.get(plugin)
        merged = ({} if another else now.get(opts, {})) | asked.get(opts, {})
        changes[opts] = {key: value for key, value in merged.items() if value is not None}
    return changes


def _load(options: ScalingGroupOpts) -> None:
    backfill_of(options.backfill)
    for found in (options, shadowed(options)):
        if found is not None:
            load_scheduler(found.scheduler, found, {})
            load_agent_selector(found.agent_selector, found, {})
