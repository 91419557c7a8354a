"""Runs `against_document.py` in a process of its own.

What it asks is worked out while it is collected, which takes ten seconds: not in every worker.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_800)]


def test_the_app_is_what_its_document_says() -> None:
    """A3, J7: every check of schemathesis, on every page."""
    asked = Path(__file__).with_name("against_document.py")
    options = ["-q", "-n", "0", "-p", "no:cacheprovider"]
    own = ["-o", "addopts=--strict-markers --strict-config --import-mode=importlib"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *own, str(asked)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout[-20_000:]
    assert " passed" in done.stdout
