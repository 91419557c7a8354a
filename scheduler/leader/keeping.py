"""What a selector remembers outlives the leader: read when a term begins, written with placements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scheduler.domain.moves import Keep
from scheduler.observability.logs import get_logger
from scheduler.plugins.interfaces import AbstractAgentSelector


class SelectorKeeper:
    """Hands a selector what one of its name kept last, and says when there is something new to write."""

    def __init__(self, group: str, stored: Callable[[str], str | None]) -> None:
        self._group = group
        self._stored = stored
        self._written: str | None = None
        self._written_at: int | None = None
        self._log = get_logger(group=group)

    def hand_over(
        self, selector: AbstractAgentSelector, former: AbstractAgentSelector | None = None
    ) -> None:
        """Let a selector go on from the former one, if that is of its name, else from what is stored.

        What cannot be read, as after a change of plugins, is told and begun anew: a selector places
        well without it.
        """
        same = former is not None and former.name == selector.name
        text = former.state() if former is not None and same else self._stored(selector.name)
        if not same:
            self._written, self._written_at = text, None
        if not text:
            return
        try:
            selector.restore(text)
        except ValueError as error:
            self._log.warning("selector.begins_anew", selector=selector.name, says=str(error))

    def due(self, selector: AbstractAgentSelector, now_ms: int) -> Sequence[Keep]:
        """What is to be written together with the placements decided last."""
        at = self._written_at
        if at is not None and selector.keep_every_ms and now_ms < at + selector.keep_every_ms:
            return ()
        text = selector.state()
        if text is None or text == self._written:
            return ()
        self._written, self._written_at = text, now_ms
        return (Keep(self._group, selector.name, text),)
