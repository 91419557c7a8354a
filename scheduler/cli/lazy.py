"""Groups whose commands are imported when they are asked for.

A command line is a process of its own each time: `scheduler session list` must not pay for numpy, RQ
and a web framework, which other commands need.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from scheduler.service.starting import without_gc


class LazyGroup(click.Group):
    """A group with ``homes``: where its commands are, by name, as ``package.module:attribute``.

    Commands that were added to it are there as in every group, and come first.
    """

    def __init__(
        self, *args: Any, homes: Mapping[str, str] | None = None, **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self._homes = dict(homes or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names; nothing is imported for them."""
        return sorted({*super().list_commands(ctx), *self._homes})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, imported now if it was not."""
        if cmd_name not in self.commands and cmd_name in self._homes:
            module, _, attribute = self._homes[cmd_name].partition(":")
            with without_gc():
                home = import_module(module)
            self.add_command(getattr(home, attribute), cmd_name)
        return super().get_command(ctx, cmd_name)
