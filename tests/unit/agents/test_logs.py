"""Output of kernels: decoding, gathering, the cap."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agents.logs import PIECE_BYTES, OutputLog


class Said:
    """What a log handed on."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []

    def __call__(self, _: OutputLog, stream: str, text: str) -> None:
        self.pieces.append((stream, text))

    def text(self, stream: str = "stdout") -> str:
        return "".join(text for name, text in self.pieces if name == stream)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_cutting_the_stream_anywhere_changes_nothing(data: bytes, cuts: list[int]) -> None:
    said = Said()
    log = OutputLog("o", 10_000, said)
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(ends):
        log.feed("stdout", data[start:end], 1)
    log.close()

    assert data.decode("utf-8", "replace") == said.text()


def test_streams_have_decoders_of_their_own() -> None:
    said = Said()
    log = OutputLog("o", 100, said)
    log.feed("stdout", b"\xc3", 1)
    log.feed("stderr", b"x", 1)
    log.feed("stdout", b"\xbc", 1)
    log.close()

    assert ("ü", "x") == (said.text(), said.text("stderr"))


def test_little_output_waits_for_more() -> None:
    said = Said()
    log = OutputLog("o", 1_000_000, said)
    log.feed("stdout", b"a", 7)

    assert ([], True) == (said.pieces, log.due_ns > 7)
    log.feed("stdout", b"b" * PIECE_BYTES, 8)
    assert (1, 0) == (len(said.pieces), log.due_ns)


@given(st.lists(st.integers(1, 5_000), max_size=50))
def test_what_is_handed_on_is_bounded_by_the_cap(sizes: list[int]) -> None:
    said = Said()
    log = OutputLog("o", 10_000, said)
    for size in sizes:
        log.feed("stdout", b"x" * size, 1)
    log.close()

    total = sum(sizes)
    assert len(said.text()) == total or 10_000 < len(said.text()) <= 15_000
    assert log.full is (total > 10_000)


def test_a_log_that_redis_calls_full_takes_no_more() -> None:
    said = Said()
    log = OutputLog("o", 100, said)
    log.full = True
    log.feed("stdout", b"x", 1)
    log.close()

    assert [] == said.pieces
