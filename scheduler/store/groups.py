"""The repository of scaling groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import redis

from scheduler.domain.errors import GroupNotFound, InvalidSetting
from scheduler.domain.group import ScalingGroupOpts
from scheduler.domain.ids import is_name
from scheduler.store.connection import speaking_to
from scheduler.store.keys import Keys
from scheduler.store.script import Script

_SET = Script.load("group/set")
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
            return str(_SET(self._client, self._keys.root, group=group, fields=flat)[0])

    def get(self, group: str) -> ScalingGroupOpts:
        """A group's options. Raises GroupNotFound."""
        with speaking_to(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.sismember(self._keys.groups(), group)
            pipe.hgetall(self._keys.group(group))
            known, stored = pipe.execute()
        if not known:
            raise GroupNotFound(group=group, known=", ".join(self.names()) or "none")
        return options_from_row(stored)


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
    return json.dumps(value) if isinstance(value, dict) else str(value)
