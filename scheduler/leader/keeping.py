"""What a scheduler or a selector remembers outlives the leader: read when a term begins, written with placements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from scheduler.domain.moves import Keep
from scheduler.observability.logs import get_logger


class Remembering(Protocol):
    """A plugin that may keep something."""

    name: ClassVar[str]
    keep_every_ms: ClassVar[int]

    def state(self) -> str | None: ...
    def restore(self, text: str) -> None: ...


class Keeper:
    """Hands a plugin what one of its kind and name kept last, and says when there is something new to write."""

    def __init__(self, group: str, stored: Callable[[str], str | None], kind: str) -> None:
        self._group = group
        self._stored = stored
        self._kind = kind
        self._written: str | None = None
        self._written_at: int | None = None
        self._log = get_logger(group=group)

    def hand_over(self, plugin: Remembering, former: Remembering | None = None) -> None:
        """Let a plugin go on from the former one, if that is of its name, else from what is stored.

        What cannot be read, as after a change of plugins, is told and begun anew: a plugin places well
        without it.
        """
        same = former is not None and former.name == plugin.name
        text = former.state() if former is not None and same else self._stored(self._field(plugin))
        if not same:
            self._written, self._written_at = text, None
        if not text:
            return
        try:
            plugin.restore(text)
        except ValueError as error:
            self._log.warning(f"{self._kind}.begins_anew", name=plugin.name, says=str(error))

    def due(self, plugin: Remembering, now_ms: int) -> Sequence[Keep]:
        """What is to be written together with the placements decided last."""
        at = self._written_at
        if at is not None and plugin.keep_every_ms and now_ms < at + plugin.keep_every_ms:
            return ()
        text = plugin.state()
        if text is None or text == self._written:
            return ()
        self._written, self._written_at = text, now_ms
        return (Keep(self._group, self._field(plugin), text),)

    def _field(self, plugin: Remembering) -> str:
        # No plugin's name has a colon. Selectors were first, and their texts are found where they were.
        return plugin.name if self._kind == "selector" else f"{self._kind}:{plugin.name}"
