"""Frames over a stream."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import channel


@given(
    st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.binary()), max_size=5),
    st.integers(1, 50),
)
def test_frames_survive_being_cut(messages: list[tuple[dict[str, int], bytes]], size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = channel.Channel(theirs)
        wire = b"".join(channel.pack(head, body) for head, body in messages)
        got: list[channel.Frame] = []
        for start in range(0, len(wire), size):
            ours.send(wire[start : start + size])
            assert reader.read()
            got += reader.frames()

    assert messages == [(frame.head, frame.body) for frame in got]


def test_the_blocking_side_understands_the_other() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer, reader = channel.Channel(ours), channel.Stream(theirs)
        writer.send({"a": 1}, b"\x00\n")
        writer.send({"b": 2}, bytes(100_000))
        assert channel.Frame({"a": 1}, b"\x00\n") == reader.receive()
        assert channel.Frame({"b": 2}, bytes(100_000)) == reader.receive()
        ours.close()
        assert reader.receive() is None


@pytest.mark.parametrize(
    "wire", [struct.pack(">I", 3) + b"{}x", struct.pack(">I", 2**31), b"\0\0\0\2[]"]
)
def test_garbage_is_called_garbage(wire: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = channel.Channel(theirs)
        ours.send(wire)
        reader.read()
        with pytest.raises(channel.BrokenFrameError):
            list(reader.frames())


def test_what_does_not_fit_waits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = channel.Channel(ours)
        writer.send({}, bytes(5_000_000))
        assert writer.wants_to_write
        got = 0
        while writer.flush():
            got += len(theirs.recv(100_000))

        assert got > 4_000_000


def test_a_dead_other_side_is_noticed_when_reading() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        writer = channel.Channel(ours)
        writer.send({"a": 1})

        assert not writer.wants_to_write
        assert not writer.read()
