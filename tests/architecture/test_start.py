"""What a short command does not wait for: each is a process of its own, and imports are its time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

HEAVY = {"apprise", "fastapi", "httpx", "numpy", "rq", "rq_scheduler", "uvicorn"}
#: Prints what was asked for, then the packages that were imported for it.
ASK = """
import sys
{statement}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
LIST = """
from scheduler.cli import cli
try:
    cli.main(["session", "list", "--limit", "5"])
except SystemExit as end:
    assert end.code == 0, end.code
"""


def imported(statement: str, url: str = "") -> set[str]:
    """Packages that a process of its own has imported after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(statement=statement)],
        env={**os.environ, "SCHEDULER_REDIS_URL": url or "redis://localhost"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("statement", ["import scheduler", "from scheduler import Client"])
def test_an_app_imports_no_more_than_it_uses(statement: str) -> None:
    """An app that enqueues pays neither for deciding nor for the HTTP API."""
    assert set() == imported(statement) & HEAVY


@pytest.mark.real
def test_a_list_imports_no_more_than_it_uses(server_of: Callable[[str], redis.Redis]) -> None:
    """Nor does a command that only reads: `scheduler session list` of a Redis that answers."""
    address = server_of("embedded").get_connection_kwargs()
    found = imported(LIST, f"redis://{address['host']}:{address['port']}/0")

    assert set() == found & {*HEAVY, "prometheus_client", "pyinstrument", "structlog"}
    assert {"scheduler", "click", "redis"} <= found
