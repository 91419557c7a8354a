"""Frames over a stream socket: a JSON object, then bytes nobody on the way needs to read."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

_LENGTH: Final = struct.Struct(">I")
# From 128 KiB on each buffer is a mapping of its own, made and undone for every read.
_READ: Final = 64 * 1024
#: A payload has at most 1 MiB and its JSON header little more; what claims to be longer is garbage.
LONGEST: Final = 16 * 1024 * 1024
#: What stands in the place of a message that follows on another way.
FOLLOWS: Final = b"follows"


class BrokenFrameError(Exception):
    """The other side sent what is no frame."""


class Frame(NamedTuple):
    """One message."""

    head: dict[str, Any]
    body: bytes


def written(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A message, where its end is known."""
    try:
        text = orjson.dumps(head)
    except TypeError:
        # Half of a surrogate pair, or an integer of more than 64 bits: only json writes them.
        text = json.dumps(head).encode()
    return b"".join((text, b"\n", body))


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """A message as it goes over a stream."""
    message = written(head, body)
    return _LENGTH.pack(len(message)) + message


def unpack(data: bytes) -> Frame:
    """Read one message. Raises BrokenFrameError."""
    head, _, body = data.partition(b"\n")
    try:
        # As text: of bytes, json would guess the encoding first. Not orjson: an integer of more
        # than 64 bits would become a float.
        found = json.loads(head.decode())
    except ValueError as error:
        raise BrokenFrameError(str(error)) from error
    if not isinstance(found, dict):
        raise BrokenFrameError("it is no object")
    return Frame(found, body)


def send(to: socket.socket, head: dict[str, Any], body: bytes = b"") -> None:
    """Send one message and wait until it is gone."""
    to.sendall(pack(head, body))


class Stream:
    """One end of a stream that waits: for a process that does one thing at a time."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._inbox = bytearray()

    def receive(self) -> Frame | None:
        """Wait for one message; None when the other side is gone. Raises BrokenFrameError."""
        while True:
            if end := _end_of_first(self._inbox):
                data = bytes(self._inbox[_LENGTH.size : end])
                del self._inbox[:end]
                return unpack(data)
            more = self._source.recv(_READ)
            if not more:
                return None
            self._inbox += more


def _end_of_first(inbox: bytearray) -> int:
    """Where the first message ends; 0 when it has not come yet. Raises BrokenFrameError."""
    if len(inbox) < _LENGTH.size:
        return 0
    size: int = _LENGTH.unpack_from(inbox)[0]
    if size > LONGEST:
        raise BrokenFrameError(f"it claims {size} bytes")
    end = _LENGTH.size + size
    return end if len(inbox) >= end else 0


class Channel:
    """One end of a stream, never waiting: for a loop that serves many."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._end = end
        self._inbox = bytearray()
        self._outbox = bytearray()

    def fileno(self) -> int:
        """For a selector."""
        return self._end.fileno()

    def close(self) -> None:
        """Hang up; the other side sees the end of the stream."""
        self._end.close()

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits until the other side has room."""
        return bool(self._outbox)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send what fits now and keep the rest; a dead other side is noticed when reading."""
        self._outbox += pack(head, body)
        self.flush()

    def flush(self) -> bool:
        """Send what waits, as far as the other side has room; whether something still waits."""
        try:
            while self._outbox:
                del self._outbox[: self._end.send(self._outbox)]
        except BlockingIOError:
            return True
        except OSError:
            self._outbox.clear()
        return False

    def read(self) -> bool:
        """Take in what has come; False when the other side is gone."""
        try:
            data = self._end.recv(_READ)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._inbox += data
        return bool(data)

    def frames(self) -> Iterator[Frame]:
        """The complete messages that have come. Raises BrokenFrameError."""
        while end := _end_of_first(self._inbox):
            data = bytes(self._inbox[_LENGTH.size : end])
            del self._inbox[:end]
            yield unpack(data)
