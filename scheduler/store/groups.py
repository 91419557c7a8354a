"""The repository of scaling groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import redis

from scheduler.domain.errors import (
    GroupExists,
    GroupInUse,
    GroupNotFound,
    GroupOnRecord,
    InvalidSetting,
    RevisionConflict,
)
from scheduler.domain.group import GroupRevision, ScalingGroup, ScalingGroupOpts
from scheduler.domain.ids import has_control_characters, is_name
from scheduler.domain.scope import LONGEST_NAME
from scheduler.domain.states import SessionState
from scheduler.domain.tally import Tally
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_SET = Script.load("group/set")
_RETIME = Script.load("group/retime")
_PAUSE = Script.load("group/pause")
_DELETE = Script.load("group/delete")
_NAMES = tuple(field.name for field in fields(ScalingGroupOpts))


class GroupRepository:
    """Scaling groups of one namespace. All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def names(self) -> list[str]:
        """All groups."""
        with speaking_to(self._client):
            return sorted(cast("set[str]", self._client.smembers(self._keys.groups())))

    def configure(self, group: str, options: Mapping[str, Any]) -> str:
        """Create a group or change the options named; ``created``, ``changed`` or ``unchanged``.

        Raises InvalidSetting for a name or an option that is none.
        """
        return self._set(group, options, "any")[0]

    def create(self, group: str, options: Mapping[str, Any]) -> int:
        """Create a group; its first revision. Raises GroupExists, InvalidSetting."""
        return self._set(group, options, "new")[1]

    def change(
        self,
        group: str,
        options: Mapping[str, Any],
        *,
        expected: int | None = None,
        says: str = "set",
    ) -> int:
        """Change the options named; the revision it is at then, a new one if anything is different.

        ``expected`` is the revision that was looked at; ``says`` is told by the history. Raises
        GroupNotFound, RevisionConflict, InvalidSetting.
        """
        return self._set(group, options, "known", expected=expected, says=says)[1]

    def _set(
        self,
        group: str,
        options: Mapping[str, Any],
        mode: str,
        *,
        expected: int | None = None,
        says: str = "set",
    ) -> tuple[str, int]:
        if not is_name(group):
            raise InvalidSetting(
                name="group",
                problem=f"{group!r} is no name: letters, digits, _ and - only, at most 63",
            )
        if unknown := sorted(options.keys() - set(_NAMES)):
            raise InvalidSetting(
                name="group",
                problem=f"there is no option {unknown[0]!r}; there are {', '.join(_NAMES)}",
            )
        flat: list[str] = []
        for name, value in options.items():
            flat += [name, _to_text(value)]
        with speaking_to(self._client):
            word, number = [
                *_SET(
                    self._client,
                    self._keys.root,
                    group=group,
                    fields=flat,
                    names=_NAMES,
                    mode=mode,
                    revision="" if expected is None else str(expected),
                    says=says,
                ),
                "0",
            ][:2]
        match word:
            case "exists":
                raise GroupExists(group=group)
            case "unknown_group":
                raise self._not_found(group)
            case "conflict":
                raise RevisionConflict(group=group, found=number, expected=expected)
            case _:
                return str(word), int(number)

    def get(self, group: str) -> ScalingGroupOpts:
        """A group's options. Raises GroupNotFound."""
        return self.read(group).options

    def read(self, group: str) -> ScalingGroup:
        """A group as it stands. Raises GroupNotFound."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.sismember(self._keys.groups(), group)
            pipe.hgetall(self._keys.group(group))
            known, stored = pipe.execute()
        if not known:
            raise self._not_found(group)
        return ScalingGroup(
            name=group,
            options=options_from_row(stored),
            revision=self._revision(group, stored),
            paused=stored.get("paused", ""),
        )

    def check(self, group: str) -> None:
        """Whether all of its record can be read. Raises GroupNotFound, InvalidSetting naming field and key."""
        self.read(group)
        key = self._keys.group(group)
        with speaking_to(self._client):
            text = cast("str | None", self._client.hget(key, "reachable"))
        try:
            json.loads(text or "[]")
        except ValueError as error:
            raise _spoilt(key, "reachable") from error

    def offered(self) -> set[str]:
        """Families of slots that agents of any group have, as their leaders noted."""
        names = self.names()
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            for group in names:
                pipe.hget(self._keys.group(group), "reachable")
            shapes = [shape for text in pipe.execute() for shape in json.loads(text or "[]")]
        return {slot.partition(".")[0] for shape in shapes for slot in shape}

    def history(self, group: str) -> list[GroupRevision]:
        """The last hundred revisions, newest first. Raises GroupNotFound."""
        self.read(group)
        with speaking_to(self._client):
            stored = cast("dict[str, str]", self._client.hgetall(self._keys.group_revisions(group)))
        found = {int(number): json.loads(text) for number, text in stored.items()}
        return [
            GroupRevision(number, then["at"], then["says"], options_from_row(then["options"]))
            for number, then in sorted(found.items(), reverse=True)
        ]

    def shadow(self, group: str) -> dict[str, Any] | None:
        """What the leader noted of the group's shadow last, or None."""
        with speaking_to(self._client):
            text = cast("str | None", self._client.get(self._keys.shadow(group)))
        return cast("dict[str, Any]", json.loads(text)) if text else None

    def tally(self, group: str) -> Tally:
        """What the group's cycles did; all nought where none ran yet."""
        with speaking_to(self._client):
            record = cast("dict[str, str]", self._client.hgetall(self._keys.tally(group)))
        return Tally.read(record)

    def retime(self, group: str) -> None:
        """Have who waits already wait by the pending timeout that is in force now; 200 sessions a step.

        A repeat changes nothing, and goes on with what was broken off.
        """
        for state in (SessionState.READY, SessionState.PENDING):
            cursor = ""
            while cursor != "0":
                with speaking_to(self._client):
                    _, cursor = _RETIME(
                        self._client,
                        self._keys.root,
                        group=group,
                        state=str(state),
                        cursor=cursor or "0",
                    )

    def pause(self, group: str, why: str) -> str:
        """Place nothing new there; ``paused`` or ``already``. Raises GroupNotFound, InvalidSetting."""
        if not why or len(why) > LONGEST_NAME or has_control_characters(why):
            raise InvalidSetting(
                name="pause", problem="its reason has 1 to 256 characters and no control characters"
            )
        return self._pause(group, why)

    def resume(self, group: str) -> str:
        """Place again; ``resumed`` or ``already``. Raises GroupNotFound."""
        return self._pause(group, "")

    def _pause(self, group: str, why: str) -> str:
        with speaking_to(self._client):
            word = _PAUSE(self._client, self._keys.root, group=group, why=why)[0]
        if word == "unknown_group":
            raise self._not_found(group)
        return str(word)

    def delete(self, group: str) -> None:
        """Forget a group without agents, sessions and leader.

        Raises GroupNotFound, GroupInUse; GroupOnRecord where nothing but sessions that ended is left of it.
        """
        with speaking_to(self._client):
            answer = _DELETE(self._client, self._keys.root, group=group)
        if answer[0] == "unknown_group":
            raise self._not_found(group)
        if answer[0] == "in_use":
            raise GroupInUse(group=group, holds=answer[1])
        if answer[0] == "on_record":
            raise GroupOnRecord(group=group, sessions=answer[1])

    def _revision(self, group: str, stored: Mapping[str, str]) -> int:
        try:
            return int(stored.get("revision", 0))
        except ValueError as error:
            raise _spoilt(self._keys.group(group), "revision") from error

    def _not_found(self, group: str) -> GroupNotFound:
        return GroupNotFound(group=group, known=", ".join(self.names()) or "none")


def _spoilt(key: str, field: str) -> InvalidSetting:
    """What is to be said of a field of a group's record that somebody overwrote."""
    cure = {
        "revision": f"`redis-cli hset {key} revision N`, the last of `scheduler group history`",
        "reachable": f"`redis-cli hdel {key} reachable`; the leader notes it anew with the next agent",
    }[field]
    problem = f"field {field} of key {key} makes no sense; {cure} puts it right"
    return InvalidSetting(name="group", problem=problem)


def options_from_row(stored: Mapping[str, str]) -> ScalingGroupOpts:
    """Read a group's record."""
    found: dict[str, Any] = {}
    for name in _NAMES:
        text = stored.get(name)
        if text is None:
            continue
        default = getattr(ScalingGroupOpts(), name)
        if isinstance(default, bool):
            found[name] = text == "1"
        elif isinstance(default, dict):
            found[name] = json.loads(text)
        elif name.endswith("_ms") or isinstance(default, int):
            found[name] = int(text) if text else None
        else:
            found[name] = text
    return ScalingGroupOpts(**found)


def _to_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
