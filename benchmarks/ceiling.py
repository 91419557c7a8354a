"""What Redis does at most on this machine now: the measure of all that scripts write."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import cast

import redis

from benchmarks.scale import Scale
from benchmarks.server import own_redis

#: The kinds of write a placement is made of, five of them, and nothing else.
SCRIPT = """
local id = ARGV[1]
redis.call('HSET', 'ceiling:record:' .. id, 'state', 'SCHEDULED', 'agent', 'a1')
redis.call('ZADD', 'ceiling:index', 1, id)
redis.call('SADD', 'ceiling:members', id)
redis.call('HINCRBY', 'ceiling:counts', 'placed', 1)
redis.call('SET', 'ceiling:last', id)
return 1
"""
MISSING = (
    "redis-benchmark was not found, so there is no ceiling and no ratio to it:"
    " apt-get install redis-tools"
)
_PATIENCE_S = 120


class ToolMissingError(Exception):
    """A program that a measurement needs is not installed; the message says which."""


def command(port: int, sha: str, scripts: int) -> list[str]:
    """The exact call: 50 clients, each pipelining 16 EVALSHA, over 100,000 different records."""
    return [
        *("redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", "50", "-P", "16"),
        *("-n", str(scripts), "-r", "100000", "--csv", "evalsha", sha, "0", "__rand_int__"),
    ]


def measure(scale: Scale) -> dict[str, float]:
    """Scripts with five writes per second. Raises ToolMissingError."""
    if shutil.which("redis-benchmark") is None:
        raise ToolMissingError(MISSING)
    return {"ceiling_scripts_per_s": _rate(scale.ceiling_scripts)}


def nearby(name: str, scale: Scale, measured: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A measurement between two short looks at the ceiling, whose mean is what it is a ratio to.

    A shared machine is twice as fast in one minute as in the next. Without redis-benchmark there is
    the measurement alone.
    """
    if shutil.which("redis-benchmark") is None:
        return measured()
    before = _rate(scale.ceiling_scripts // 3)
    found = measured()
    after = _rate(scale.ceiling_scripts // 3)
    return {**found, f"ceiling_near_{name}_per_s": (before + after) / 2}


def _rate(scripts: int) -> float:
    """Scripts per second on a server of its own, once it is warm."""
    with own_redis() as server, redis.Redis(port=server.port) as client:
        sha = cast("str", client.script_load(SCRIPT))
        run(command(server.port, sha, scripts // 10))
        return run(command(server.port, sha, scripts))


def run(call: Sequence[str]) -> float:
    """One run of redis-benchmark; requests per second."""
    said = subprocess.run(call, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)
    return rate_of(said.stdout)


def rate_of(said: str) -> float:
    """Requests per second out of what redis-benchmark printed with --csv."""
    heading, *rows = csv.reader(io.StringIO(said))
    return float(rows[-1][heading.index("rps")])
