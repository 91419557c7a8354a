"""The leash: a few integers in a shared file by which an agent holds its shims, without a message.

The first cell is the lease: until when, on CLOCK_BOOTTIME, kernels may run without a further
acknowledged beat. Each shim has a row of its own: the deadline and the memory limit of the kernel
it holds now. Cells are eight bytes and aligned, so a reader sees the old or the new value.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

ROWS: Final = 4096
_ROW_CELLS: Final = 4
_DEADLINE, _MEMORY, _KEEP, _SERIAL = range(_ROW_CELLS)
_SIZE: Final = 8 * (1 + ROWS * _ROW_CELLS)


class Row:
    """What one shim must know of the kernel it holds."""

    __slots__ = ("_base", "_cells")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self._base = 1 + index * _ROW_CELLS

    def arm(self, *, serial: int, deadline_ns: int, memory: int, keep: bool) -> None:
        """A kernel begins; the serial goes last, it makes the row valid."""
        cells, base = self._cells, self._base
        cells[base + _SERIAL] = 0
        cells[base + _DEADLINE] = deadline_ns
        cells[base + _MEMORY] = memory
        cells[base + _KEEP] = int(keep)
        cells[base + _SERIAL] = serial

    def prolong(self, deadline_ns: int) -> None:
        """The kernel that is held has another deadline, later or earlier."""
        self._cells[self._base + _DEADLINE] = deadline_ns

    def clear(self) -> None:
        """No kernel is held."""
        self._cells[self._base + _SERIAL] = 0

    @property
    def serial(self) -> int:
        """Which kernel is held, counted by the agent; 0 for none."""
        return self._cells[self._base + _SERIAL]

    @property
    def deadline_ns(self) -> int:
        """When it must be over; 0 for no deadline."""
        return self._cells[self._base + _DEADLINE]

    @property
    def memory(self) -> int:
        """How many bytes it may use; 0 for no limit to be watched."""
        return self._cells[self._base + _MEMORY]

    @property
    def keep(self) -> bool:
        """Whether it outlives the lease."""
        return bool(self._cells[self._base + _KEEP])


class Leash:
    """The file, mapped into this process."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Map the file; the agent creates it anew, everybody else opens it."""
        if create:
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
        with path.open("r+b") as file:
            if create:
                # Not a hole: writing to one on a full disk is a SIGBUS, which ends the process.
                os.posix_fallocate(file.fileno(), 0, _SIZE)
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._cells = memoryview(self._map).cast("q")

    def row(self, index: int) -> Row:
        """The row of one shim."""
        return Row(self._cells, index)

    @property
    def until_ns(self) -> int:
        """When the lease is over."""
        return self._cells[0]

    def extend(self, until_ns: int) -> None:
        """Renew the lease; a late answer to an old beat never shortens it."""
        self._cells[0] = max(self._cells[0], until_ns)
