"""What the doctor says of a server, and of the layout of its data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.operations.checks import Level
from scheduler.operations.doctor import check_schema, check_server
from scheduler.store.schema import VERSION, ServerFacts

GOOD = ServerFacts(
    version="7.2.1",
    eviction="noeviction",
    persistence="aof",
    used_memory=100,
    max_memory=1_000,
    run_id="",
    replication_id="",
    former_replication_id="",
    uptime_s=1,
    max_clients=10_000,
    clients=10,
)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": "6.0.20"}, "version 6.0.20 is too old, 6.2 or newer is needed"),
        ({"eviction": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
        ({"used_memory": 800}, "80% of maxmemory: submits are refused from 80% on"),
        ({"max_clients": 300}, "100 agents may need 364: raise Redis' maxclients"),
    ],
)
def test_an_unsuitable_server_is_a_problem(changes: dict[str, Any], says: str) -> None:
    checks = list(check_server(replace(GOOD, **changes), 100))
    (problem,) = [check for check in checks if not check.ok]

    assert says in problem.says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"persistence": "none"}, "nothing is kept on disk"),
        ({"persistence": "rdb"}, "snapshots only"),
        ({"persistence": ""}, "does not tell whether"),
        ({"version": ""}, "it tells nothing of itself"),
    ],
)
def test_some_things_only_deserve_a_warning(changes: dict[str, Any], says: str) -> None:
    checks = list(check_server(replace(GOOD, **changes), 100))
    (warning,) = [check for check in checks if check.level is Level.WARNING]

    assert warning.ok
    assert says in warning.says


def test_a_good_server_is_good() -> None:
    checks = list(check_server(replace(GOOD, max_memory=0), 0))

    assert [Level.OK] * 5 == [check.level for check in checks]


def test_layouts_are_told_apart() -> None:
    known = (None, VERSION - 1, VERSION, VERSION + 1)

    levels = [check_schema(version).level for version in known]

    assert [Level.WARNING, Level.PROBLEM, Level.OK, Level.PROBLEM] == levels
