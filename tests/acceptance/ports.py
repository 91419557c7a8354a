"""Ports for what a test starts."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack

#: Below those that Linux gives to connections: of them one may be in use, or rest for a minute after its
#: connection, when the process that was told of it begins to listen.
_FIRST, _LAST = 10_000, 32_000


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody listens on."""
    for _ in range(100):
        first = _FIRST + secrets.randbelow(_LAST - _FIRST - count)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return first
    raise AssertionError(f"no {count} free ports in a row")
