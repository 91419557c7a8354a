"""Starting: garbage is looked for again when modules are imported, and whoever turned it off is obeyed."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from scheduler.service.starting import without_gc


def test_no_garbage_is_looked_for_meanwhile() -> None:
    with without_gc(), without_gc():
        assert not gc.isenabled()

    assert gc.isenabled()


def test_it_is_looked_for_after_an_import_that_fails() -> None:
    with pytest.raises(ImportError), without_gc():
        raise ImportError

    assert gc.isenabled()


def test_who_looks_for_none_is_left_alone() -> None:
    gc.disable()
    try:
        with without_gc():
            pass

        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_command_runs_with_modules_put_aside_and_garbage_looked_for() -> None:
    """A replica runs for months."""
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000))\n"
        "sys.argv[1:] = ['session', 'submit', '--help']\n"
        "from scheduler.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "True True" == done.stdout.splitlines()[-1]
