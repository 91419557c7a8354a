"""A look at Redis that costs hardly anything: the same few commands again and again, over a connection of its own.

redis-py takes 80 us of CPU for a command, most of it for finding a connection and putting it back; a glance
takes 20. It is for what looks many times a second and nearly always finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import RedisError

#: Words of one command.
Command = tuple[str, ...]


class Glance:
    """Not thread-safe: one thread looks."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._connection: Any = None
        self._asked: Sequence[Command] = ()
        self._packed = b""

    def at(self, *commands: Command) -> list[Any] | None:
        """The answers to some commands that only read; None where it cannot be told now: ask properly."""
        try:
            if self._connection is None:
                self._connection = self._client.connection_pool.get_connection()
            if commands != self._asked:
                self._packed = b"".join(self._connection.pack_commands(commands))
                self._asked = commands
            # A pool that is to look for its server anew closes connections in use, too; this opens it again.
            self._connection.send_packed_command([self._packed])
            return [self._connection.read_response() for _ in commands]
        except (RedisError, OSError):
            # Answers that may still come must not be taken for the next ones.
            self.close()
            return None

    def close(self) -> None:
        """Give the connection back, closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(RedisError, OSError):
                connection.disconnect()
            self._client.connection_pool.release(connection)
