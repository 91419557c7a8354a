"""A run directory that cannot be written: told at the start, survived later."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from agents.rundir import RunDirectory
from scheduler.domain.errors import Refused


def test_a_directory_that_cannot_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(
        Refused, match=r"run directory .*/file/a1 cannot be written: Not a directory"
    ):
        RunDirectory(tmp_path / "file" / "a1")


def test_a_full_disk_at_the_start_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with closing(RunDirectory(tmp_path / "a1")) as directory:
        (tmp_path / "a1" / "boot.new").symlink_to("/dev/full")

        with pytest.raises(Refused, match="cannot be written: No space left on device"):
            directory.begin("b" * 32, "")


def test_a_disk_that_is_full_later_keeps_no_kernel_from_starting(tmp_path: Path) -> None:
    """What was not recorded carries the boot's mark, by which the sweep finds it, too."""
    directory = RunDirectory(tmp_path / "a1")
    (tmp_path / "a1" / "processes").symlink_to("/dev/full")
    directory.begin("b" * 32, "")
    (tmp_path / "a1" / "boot.new").symlink_to("/dev/full")

    directory.note(os.getpid())
    directory.admitted()
    directory.close()

    assert directory._full


def test_the_leash_has_its_room_on_disk(tmp_path: Path) -> None:
    """Writing to a hole of a full disk is a SIGBUS."""
    with closing(RunDirectory(tmp_path / "a1")) as directory:
        directory.begin("b" * 32, "")

        found = directory.leash.stat()

    assert found.st_blocks * 512 >= found.st_size
