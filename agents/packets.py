"""Work on its way to a warm child: packets in a socket of which the agent holds both ends.

Linux hands each packet to one reader: to the child, once it is done with the one before, or back to the
agent. So several may lie there, and what the child has not begun can still be stopped or run elsewhere.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

#: What is longer follows on the child's stream: a packet must fit into the socket as a whole.
LONGEST: Final = 32 * 1024
#: Room for a packet with its head.
READ: Final = 2 * LONGEST
#: Which kernel it is for stands in front.
SERIAL: Final = struct.Struct(">Q")


class Packets:
    """The agent's side; the child has a copy of `theirs`."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def send(self, serial: int, message: bytes) -> bool:
        """Lay one down for the child; whether there was room."""
        try:
            self._ours.send(SERIAL.pack(serial) + message, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def take_back(self) -> set[int]:
        """Take all that the child does not take meanwhile: it may take one between two of ours."""
        taken: set[int] = set()
        try:
            # Not by O_NONBLOCK, which would hold for the child, too. What is not read of a packet is gone.
            while found := self.theirs.recv(SERIAL.size, socket.MSG_DONTWAIT):
                taken.add(SERIAL.unpack(found)[0])
        except OSError:
            return taken
        return taken

    def close(self) -> None:
        """Hang up."""
        self._ours.close()
        self.theirs.close()
