"""The leash: leases and rows in a shared file."""

from __future__ import annotations

import os
from pathlib import Path

from agents.leash import ROWS, Leash


def test_another_mapping_sees_what_is_written(tmp_path: Path) -> None:
    ours = Leash(tmp_path / "leash", create=True)
    theirs = Leash(tmp_path / "leash")
    ours.extend(2**62)
    ours.row(ROWS - 1).arm(serial=7, deadline_ns=11, memory=13, keep=True)

    row = theirs.row(ROWS - 1)

    assert 2**62 == theirs.until_ns
    assert (7, 11, 13, True) == (row.serial, row.deadline_ns, row.memory, row.keep)


def test_another_process_sees_what_is_written(tmp_path: Path) -> None:
    ours = Leash(tmp_path / "leash", create=True)
    reader, writer = os.pipe()
    ours.extend(5)
    if os.fork() == 0:
        theirs = Leash(tmp_path / "leash")
        os.write(writer, b"yes" if theirs.until_ns == 5 else b"no")
        os._exit(0)

    assert b"yes" == os.read(reader, 3)
    os.wait()


def test_a_late_answer_does_not_shorten_the_lease(tmp_path: Path) -> None:
    leash = Leash(tmp_path / "leash", create=True)
    leash.extend(10)
    leash.extend(9)

    assert 10 == leash.until_ns


def test_a_new_boot_begins_without_a_lease(tmp_path: Path) -> None:
    before = Leash(tmp_path / "leash", create=True)
    before.extend(10)

    assert 0 == Leash(tmp_path / "leash", create=True).until_ns
    assert 10 == before.until_ns  # shims of the last boot keep the file they have


def test_a_cleared_row_holds_no_kernel(tmp_path: Path) -> None:
    row = Leash(tmp_path / "leash", create=True).row(3)
    row.arm(serial=1, deadline_ns=2, memory=3, keep=False)
    row.clear()

    assert 0 == row.serial
