"""Where a process tells of itself, as people write it. Imports nothing: every command does."""

from __future__ import annotations

LARGEST_PORT = 65_535


def read_address(text: str) -> tuple[str, int]:
    """HOST:PORT, or PORT on the loopback interface. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > LARGEST_PORT:
        raise ValueError("it is not of the form HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
