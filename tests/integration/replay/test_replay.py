"""`scheduler replay` on a small trace whose outcome is known by hand, and on the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from scheduler.cli.app import cli

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data"
NODES = "sn,cpu_milli,memory_mib,gpu,model"
TASKS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time"

pytestmark = [pytest.mark.integration, pytest.mark.real]


@pytest.fixture
def client(server_of: Callable[[str], redis.Redis]) -> redis.Redis:
    return server_of("redis-7")


@pytest.fixture
def trace(tmp_path: Path) -> list[str]:
    """20 nodes, ten with two GPUs each; 60 tasks: the file lists the late ones first."""
    nodes = [f"n{n:02},8000,16384,{2 * (n % 2)},{'T4' if n % 2 else ''}" for n in range(20)]
    tasks = [
        *[f"whole-{n},100,128,1,1000,,2" for n in range(10)],
        *[f"share-{n},100,128,1,500,,1" for n in range(30)],
        *[f"plain-{n},1000,1024,0,0,T4,3" for n in range(19)],
        "giant,64000,1024,0,0,,0",
    ]
    (tmp_path / "nodes.csv").write_text("\n".join([NODES, *nodes]))
    (tmp_path / "tasks.csv").write_text("\n".join([TASKS, *tasks]))
    return ["--nodes", str(tmp_path / "nodes.csv"), "--tasks", str(tmp_path / "tasks.csv")]


def url_of(client: redis.Redis) -> str:
    facts = client.connection_pool.connection_kwargs
    return f"redis://{facts['host']}:{facts['port']}/0"


def replayed(client: redis.Redis, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--redis", url_of(client), "replay", *words])


def test_a_known_trace_has_its_known_outcome(client: redis.Redis, trace: list[str]) -> None:
    found = json.loads(replayed(client, *trace, "-o", "json").stdout)

    # 30 halves fill 15 of 20 GPUs, so five of ten whole ones find room.
    assert (20, 60, 54) == (found["nodes"], found["tasks"], found["placed"])
    assert {
        "no node has room now (they lack cuda.device)": 5,
        "fits no node, not even an idle one": 1,
    } == found["refused"]
    allocation = {row["slot"]: row for row in found["allocation"]}
    assert 100.0 == allocation["cuda"]["percent"]
    assert (22_500, 160_000) == (allocation["cpu"]["used"], allocation["cpu"]["capacity"])
    assert (35 * 128 + 19 * 1024) == allocation["mem"]["used"]
    assert 19 == found["tasks_naming_models"]


def test_the_table_says_the_same(client: redis.Redis, trace: list[str]) -> None:
    said = replayed(client, *trace, "--selector", "dispersed")

    lines = [line.split() for line in said.stdout.splitlines()]
    assert ["tasks", "60"] in lines
    assert ["selector", "dispersed"] in lines
    assert ["SLOT", "USED", "OF", "PERCENT"] in lines
    assert "19 tasks name some" in said.stdout


def test_nothing_is_left_and_nothing_else_is_touched(client: redis.Redis, trace: list[str]) -> None:
    client.flushdb()
    strangers = {"replay": "a", "rq:job:other": "b", "rq:queue:other": "c", "replay-x:y": "d"}
    client.mset(strangers)
    client.sadd("rq:queues", "rq:queue:other")

    assert 0 == replayed(client, *trace, "--limit", "40").exit_code

    left = {key for key in client.scan_iter() if not key.startswith("lock-signal:")}
    assert {*strangers, "rq:queues"} == left
    assert {"rq:queue:other"} == client.smembers("rq:queues")
    client.flushdb()


def test_a_namespace_in_use_is_not_emptied(client: redis.Redis, trace: list[str]) -> None:
    client.set("mine:schema", "precious")

    said = replayed(client, *trace, "--namespace", "mine")

    assert 4 == said.exit_code
    assert "namespace 'mine' is in use" in said.stderr
    assert "precious" == client.get("mine:schema")
    client.delete("mine:schema")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--selector", "best"], "There is no agent selector named 'best'"),
        (["--namespace", "a:b"], "'a:b' is no name"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    client: redis.Redis, trace: list[str], words: list[str], says: str
) -> None:
    client.flushdb()

    said = replayed(client, *trace, *words)

    assert 2 == said.exit_code
    assert says in said.stderr
    assert 0 == client.dbsize()


def test_a_bad_file_is_refused_before_anything_is_written(
    client: redis.Redis, trace: list[str]
) -> None:
    client.flushdb()
    Path(trace[3]).write_text(f"{TASKS}\na,1,1,0,0,,0\nb,1,much,0,0,,0\n")

    said = replayed(client, *trace)

    assert 2 == said.exit_code
    assert "line 3, column memory_mib: 'much' is no whole number." in said.stderr
    assert 0 == client.dbsize()


def test_it_brings_a_redis_of_its_own_where_none_is_named(
    trace: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCHEDULER_REDIS_URL", raising=False)

    said = CliRunner().invoke(cli, ["replay", *trace, "--limit", "5"])

    assert 0 == said.exit_code
    assert ["placed", "4"] in [line.split() for line in said.stdout.splitlines()]


def test_the_real_trace_finds_room(client: redis.Redis) -> None:
    if not REAL.is_dir():
        pytest.skip("the real trace is not beside the checkout, in ../shared/data")
    nodes = REAL / "openb_node_list_all_node.csv"
    tasks = REAL / "openb_pod_list_default.csv"

    said = replayed(
        client, "--nodes", str(nodes), "--tasks", str(tasks), "--limit", "500", "-o", "json"
    )

    found = json.loads(said.stdout)
    assert (1_523, 500, 500) == (found["nodes"], found["tasks"], found["placed"])
