"""The contract with RQ: a stock worker and a stock `rq info` understand what a commit pushes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from agents.entry import WrongWorkerError
from scheduler.leader.rq_job import template
from scheduler.protocol.names import ENTRY_FUNCTION, queue_name
from scheduler.store.keys import Keys
from tests.conftest import strangers
from tests.unit.store.lives import World, order_id

pytestmark = [pytest.mark.integration, pytest.mark.real]


@pytest.fixture(params=["redis-7", "embedded"])
def text(request: pytest.FixtureRequest, server_of: Callable[[str], redis.Redis]) -> redis.Redis:
    """The client of our scripts."""
    return server_of(request.param)


@pytest.fixture
def raw(text: redis.Redis) -> Iterator[redis.Redis]:
    """A client of its own for RQ, which needs bytes and changes time-outs."""
    facts = text.connection_pool.connection_kwargs
    with redis.Redis(host=facts["host"], port=facts["port"]) as client:
        yield client


@pytest.fixture
def world(text: redis.Redis) -> Iterator[World]:
    """A namespace; what RQ itself leaves is deleted with it."""
    keys = Keys(f"t{uuid4().hex[:8]}")
    yield World(text, keys)
    found = list(text.scan_iter(count=1000))
    text.delete(*found)


def placed(world: World) -> str:
    session = world.submit(args=["a secret argument"])
    assert "placed" == world.place(session)
    return order_id(world.get(session))


def job_of(raw: redis.Redis, order: str) -> Job:
    return Job.fetch(order, connection=raw, serializer=cast("Any", JSONSerializer))


def test_a_stock_job_reads_what_was_pushed(world: World, raw: redis.Redis) -> None:
    """D2."""
    order = placed(world)

    job = job_of(raw, order)

    assert (ENTRY_FUNCTION, ("a1", order)) == (job.func_name, tuple(job.args))
    assert ({}, queue_name(world.keys.root, "a1")) == (job.kwargs, job.origin)
    assert "queued" == job.get_status()
    assert order in str(job.description)


def test_a_stock_queue_lists_it_once(world: World, raw: redis.Redis) -> None:
    order = placed(world)

    queue = Queue(queue_name(world.keys.root, "a1"), connection=raw, serializer=JSONSerializer)

    assert [order] == queue.job_ids
    assert [order] == [job.id for job in queue.jobs]
    assert queue.name in {
        found.name for found in Queue.all(connection=raw, serializer=JSONSerializer)
    }


def test_nothing_of_the_work_lies_in_the_job(world: World, raw: redis.Redis) -> None:
    """RQ and its dashboards log what they find."""
    order = placed(world)

    fields = cast("dict[bytes, bytes]", raw.hgetall(world.keys.rq_job(order)))

    assert not [value for value in fields.values() if b"secret" in value]


def test_a_stock_worker_takes_it_and_is_told_to_stop(world: World, raw: redis.Redis) -> None:
    """The entry function refuses: only an agent can check a signature and claim an order."""
    order = placed(world)
    failures: list[tuple[str | None, tuple[Any, ...], type[BaseException]]] = []

    def note(job: Job, kind: type[BaseException], _error: object, _trace: object) -> bool:
        failures.append((job.func_name, tuple(job.args), kind))
        return False

    queue = Queue(queue_name(world.keys.root, "a1"), connection=raw, serializer=JSONSerializer)
    worker = SimpleWorker(
        [queue], connection=raw, serializer=JSONSerializer, exception_handlers=[note]
    )
    worker.work(burst=True, logging_level="CRITICAL")

    assert [(ENTRY_FUNCTION, ("a1", order), WrongWorkerError)] == failures


def test_rq_info_shows_the_queue(world: World, text: redis.Redis) -> None:
    """D5."""
    for _ in range(3):
        placed(world)
    name = queue_name(world.keys.root, "a1")
    facts = text.connection_pool.connection_kwargs
    rq = Path(sys.executable).with_name("rq")
    url = f"redis://{facts['host']}:{facts['port']}/0"

    said = subprocess.run(
        [rq, "info", "--raw", "--url", url, name],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert f"queue {name} 3" in said.stdout


def test_claimed_orders_leave_no_job_behind(world: World, text: redis.Redis) -> None:
    session = world.submit()
    world.place(session)
    world.start(session)
    world.end(session)

    assert [] == list(text.scan_iter("rq:job:*", count=1000))
    assert [] == strangers(world.keys, list(text.scan_iter(count=1000)))


def test_a_stop_is_an_id_without_a_job_which_a_stock_worker_skips(
    world: World, raw: redis.Redis
) -> None:
    session = world.submit()
    world.place(session)
    world.start(session)
    world.stop(session)
    queue = Queue(queue_name(world.keys.root, "a1"), connection=raw, serializer=JSONSerializer)
    assert f"stop-{order_id(world.get(session))}" in queue.job_ids

    SimpleWorker([queue], connection=raw, serializer=JSONSerializer).work(
        burst=True, logging_level="CRITICAL"
    )

    assert [] == queue.job_ids


def test_the_template_is_text_with_both_places() -> None:
    fields = template("ns")
    values = dict(zip(fields[::2], fields[1::2], strict=True))

    assert all(isinstance(value, str) for value in fields)
    assert {"data", "status", "origin", "created_at", "timeout"} <= set(values)
    assert "ns:agent:@agent@" == values["origin"]
    assert "@agent@" in values["data"]
    assert "@order@" in values["data"]
    assert "@order@" in values["description"]
