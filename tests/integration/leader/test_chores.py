"""Chores: planned by the leader, done by any replica; lost and doubled ones change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from redis.exceptions import OutOfMemoryError
from rq import Queue
from rq.serializers import JSONSerializer

from scheduler.domain.errors import Refused
from scheduler.domain.states import SessionState
from scheduler.leader.chore_worker import ChoreWorker
from scheduler.leader.housekeeping import Housekeeping, chore_id
from scheduler.leader.housework import CHORES, Chore, Tools, count_scopes
from scheduler.store.callbacks import CallbackRepository
from scheduler.store.chores import ChoreRepository
from scheduler.store.connection import connect_for_rq
from scheduler.store.durations import DurationRepository
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.retention import RetentionRepository
from scheduler.store.subscribers import SubscriberRepository
from tests.integration.leader.world import GROUP, Cluster, wait_until

S = SessionState


class House:
    """A leader's part and a replica's part in chores, turned by hand."""

    def __init__(self, cluster: Cluster, chores: Mapping[str, Chore] = CHORES) -> None:
        self.cluster, self.chores = cluster, chores
        self.keys, self.raw = cluster.store.keys, cluster.owns(connect_for_rq(cluster.url))
        self.leader = self.housekeeping()

    def housekeeping(self) -> Housekeeping:
        """As a new leader has it."""
        return Housekeeping(self.raw, self.keys, GROUP, self.tools(0), self.chores)

    def tools(self, retention_ms: int) -> Tools:
        """What both work with."""
        store = self.cluster.store
        return Tools(
            store.sessions,
            RetentionRepository(store.client, self.keys),
            DurationRepository(store.client, self.keys),
            ChoreRepository(store.client, self.keys),
            SubscriberRepository(store.client, self.keys),
            CallbackRepository(store.client, self.keys),
            ScopeCounts(store.client, self.keys),
            store.clock,
            retention_ms,
        )

    def worker(self, *, retention_ms: int = 0) -> ChoreWorker:
        """One of a replica."""
        return ChoreWorker(self.raw, self.keys, self.tools(retention_ms), "r1", self.chores)

    def plan(self) -> None:
        """The leader's turn, a second after the last."""
        self.leader._next = 0.0
        self.leader.run_due()

    def come_again(self) -> None:
        """The interval is over."""
        for job in cast("list[bytes]", self.raw.zrange(self.keys.chores_due(GROUP), 0, -1)):
            self.raw.zadd(self.keys.chores_due(GROUP), {job: 0})
        self.plan()

    @property
    def queued(self) -> list[str]:
        """What lies on the queue, as a stock view of RQ shows it."""
        return Queue(
            self.keys.chores_name(), connection=self.raw, serializer=JSONSerializer
        ).job_ids

    def work(self, worker: ChoreWorker) -> None:
        """Until the queue is empty."""
        while not worker.run_once():
            pass


@pytest.fixture
def house(cluster: Cluster) -> House:
    return House(cluster)


def ran(house: House) -> dict[str, Any]:
    notes = ChoreRepository(house.cluster.store.client, house.keys)
    return {run.chore: run for run in notes.last(GROUP)}


def test_a_stock_view_of_rq_shows_the_chores(house: House) -> None:
    """J6: `rq info` and dashboards read the queue, its jobs and how they ended."""
    house.plan()

    queue = Queue(house.keys.chores_name(), connection=house.raw, serializer=JSONSerializer)
    assert queue in Queue.all(house.raw)
    assert sorted(CHORES) == sorted(str(job.func_name) for job in queue.jobs)
    assert {"queued"} == {str(job.get_status().value) for job in queue.jobs}
    jobs = queue.jobs
    house.work(house.worker(retention_ms=10**9))
    assert {"finished"} == {str(job.get_status().value) for job in jobs}


def test_what_ended_is_forgotten_as_fast_as_it_comes(house: House) -> None:
    """J6: a hundred in half a minute would let Redis fill up."""
    for session in house.cluster.submit(350):
        house.cluster.store.sessions.cancel(session)
    house.plan()

    house.work(house.worker())

    assert 0 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]
    assert "350 sessions forgotten" == ran(house)["retention"].says


def test_scopes_are_counted_anew_by_one_chore_for_all_groups(house: House) -> None:
    """K8: a count that nobody gave back."""
    store = house.cluster.store
    store.groups.create("other", {})
    store.client.hset(house.keys.scope_use(), "user u", '{"pending":7}')
    house.plan()

    house.work(house.worker())

    assert set() == store.scopes.counting()
    assert "1 numbers of scopes put right" == ran(house)["counts"].says
    assert "done by the chore of group default" == count_scopes(house.tools(0), "other")


def test_a_lost_chore_is_done_with_the_next_interval(house: House) -> None:
    """J6: a worker was killed with the job in its hands, which was on the queue no more."""
    (session,) = house.cluster.submit()
    house.cluster.store.sessions.cancel(session)
    house.plan()
    house.raw.delete(house.keys.chores())

    house.plan()
    assert [] == house.queued
    house.come_again()
    house.work(house.worker())

    assert 0 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]


def test_a_worker_that_ends_in_the_middle_leaves_the_rest_to_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J6."""
    for session in house.cluster.submit(150):
        house.cluster.store.sessions.cancel(session)
    house.plan()
    forget, calls = RetentionRepository.forget, []

    def dies(*args: Any, **kwargs: Any) -> list[str]:
        calls.append(args)
        if len(calls) == 2:
            raise SystemExit
        return forget(*args, **kwargs)

    monkeypatch.setattr(RetentionRepository, "forget", dies)
    with pytest.raises(SystemExit):
        house.work(house.worker())
    assert 50 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]

    house.come_again()
    house.work(house.worker())

    assert 0 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]


def test_a_doubled_chore_changes_nothing(house: House) -> None:
    """J6: two leaders that overlap put it on the queue twice."""
    house.cluster.store.client.hset(house.keys.durations("acme/build"), mapping={"8": 10_001})
    house.cluster.store.client.zadd(house.keys.digests(), {"acme/build": 0, "gone": 0})
    house.plan()
    for job in house.queued:
        house.raw.rpush(house.keys.chores(), job)

    house.work(house.worker(retention_ms=10**9))

    assert {"build": 5_000} == {
        role: found.runs for role, found in house.cluster.store.durations.read("acme").items()
    }
    assert ["acme/build"] == list(house.cluster.store.durations.each())


def test_while_nobody_works_each_chore_lies_on_the_queue_once(house: House) -> None:
    house.plan()
    house.come_again()
    house.leader = house.housekeeping()
    house.come_again()

    assert sorted(chore_id(house.keys, GROUP, name) for name in CHORES) == sorted(house.queued)


def test_only_what_the_table_names_is_run(house: House) -> None:
    """J6: whoever writes to the queue names no function."""
    queue = Queue(house.keys.chores_name(), connection=house.raw, serializer=JSONSerializer)
    queue.enqueue("os.system", "true")
    queue.enqueue("retention", GROUP)  # by an id that is none of ours
    house.raw.rpush(house.keys.chores(), "nobody", b"\xff")

    house.work(house.worker())

    assert {} == ran(house)


def test_how_a_chore_failed_is_noted_and_it_comes_again(cluster: Cluster) -> None:
    def refuses(tools: Tools, group: str) -> str:  # noqa: ARG001 - as chores are called
        raise Refused(why="there is no broom")

    house = House(cluster, {"sweeping": Chore(3600, refuses)})
    house.plan()
    house.work(house.worker())

    assert (False, "r1") == (ran(house)["sweeping"].well, ran(house)["sweeping"].by)
    assert "there is no broom" in ran(house)["sweeping"].says
    house.come_again()
    assert [chore_id(house.keys, GROUP, "sweeping")] == house.queued


def test_chores_are_due_by_redis_clock(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """J6: the leader's own clock is an hour slow, as is what rq-scheduler reads."""
    monkeypatch.setattr("rq_scheduler.scheduler.to_unix", lambda _: 1)
    before = house.raw.time()[0]
    house.plan()
    house.work(house.worker(retention_ms=10**9))

    found: Any = house.raw.zrange(house.keys.chores_due(GROUP), 0, -1, withscores=True)
    due = dict(found)

    again = due[chore_id(house.keys, GROUP, "retention").encode()]
    assert before + 29 <= again <= house.raw.time()[0] + 31


def test_a_follower_does_chores(cluster: Cluster) -> None:
    """J6: with a leader whose own worker hangs."""
    first = cluster.leader("r1")
    assert first._chores is not None
    first._chores.stop()
    cluster.store.client.delete(cluster.store.keys.chores_ran(GROUP))
    second = cluster.replica("r2")
    assert second._chores is not None
    due = cluster.store.keys.chores_due(GROUP)
    wait_until(
        lambda: cluster.store.client.zcard(due) == len(CHORES), saying="all chores are planned"
    )
    planned: Any = cluster.store.client.zrange(due, 0, -1)
    cluster.store.client.zadd(due, dict.fromkeys(planned, 0))

    notes = ChoreRepository(cluster.store.client, cluster.store.keys)
    wait_until(lambda: len(notes.last(GROUP)) == len(CHORES), saying="r2 did the chores")

    assert {"r2"} == {run.by for run in notes.last(GROUP)}


def test_a_full_redis_is_drained_although_no_chore_finds_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Architecture 6: what RQ writes is refused then, and the term goes on."""
    for session in house.cluster.submit(150):
        house.cluster.store.sessions.cancel(session)

    def full(*_: Any) -> None:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    monkeypatch.setattr("scheduler.leader.housekeeping.ChoreScheduler.enqueue_jobs", full)
    house.plan()
    assert 50 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]
    house.plan()

    assert 0 == house.cluster.store.sessions.counts(GROUP)[S.CANCELLED]
