"""Output of kernels on its way to Redis: decoded, gathered into pieces, capped."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

# A piece is one round trip: better few and large ones. Who follows a log waits this long at most.
PIECE_BYTES: Final = 32 * 1024
PIECE_NS: Final = 100_000_000

_Decoder: Final = codecs.getincrementaldecoder("utf-8")
Say = Callable[["OutputLog", str, str], None]


class OutputLog:
    """The log of one kernel.

    What lies here and in the sender together never exceeds the cap by more than one piece, so a
    kernel that prints without end costs reading and nothing else.
    """

    def __init__(self, order: str, cap: int, say: Say) -> None:
        self.order = order
        self.full = False  #: set here at the cap, and by the sender when Redis says so
        self.due_ns = 0  #: when what is gathered must go; 0 when nothing is
        self._left = cap
        self._say = say
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}  #: of streams that said something
        self._pieces: dict[str, list[str]] = {}
        self._gathered = 0

    def feed(self, stream: str, data: bytes, now_ns: int) -> None:
        """Take what the kernel wrote."""
        if self.full:
            return
        if stream not in self._decoders:
            self._decoders[stream] = _Decoder("replace")
        text = self._decoders[stream].decode(data)
        self._add(stream, text)
        self.due_ns = self.due_ns or now_ns + PIECE_NS
        self._left -= len(data)
        if self._left < 0:
            # One byte more than the cap was handed on: that is what makes the store note the cut.
            self.flush()
            self.full = True
        elif self._gathered >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand on what is gathered."""
        for stream, texts in self._pieces.items():
            self._say(self, stream, "".join(texts))
        self._pieces.clear()
        self._gathered = 0
        self.due_ns = 0

    def close(self) -> None:
        """The kernel is over: half a character at its end is a replacement character."""
        if not self.full:
            for stream, decoder in self._decoders.items():
                self._add(stream, decoder.decode(b"", final=True))
        self.flush()

    def _add(self, stream: str, text: str) -> None:
        if text:
            self._pieces.setdefault(stream, []).append(text)
            self._gathered += len(text)
