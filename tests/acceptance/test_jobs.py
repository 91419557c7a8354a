"""The scenarios of seed 002, phase 9, one after the other on one cluster (J10)."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler import Session, SessionState
from scheduler.client import Office
from scheduler.domain.errors import InvalidGraph, InvalidSpec, SchedulerError
from scheduler.domain.events import EventData
from scheduler.domain.job_events import SchedulerEvent
from scheduler.domain.states import PLACED
from scheduler.testing import wait_until
from tests.acceptance.conftest import Bench

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

S = SessionState
_NUMBERS = itertools.count(1)
SLOTS = {"cpu": "100m"}


@pytest.fixture
def office(bench: Bench) -> Office:
    """An office with the defaults of the seed, but that it waits less before it tries again."""
    made = bench.client.office(f"office-{next(_NUMBERS)}")
    made.create(backoff={"initial_ms": 200, "jitter": 0})
    return made


def submit(bench: Bench, office: Office, kernel: str, *args: object, **options: Any) -> Session:
    return office.submit(bench.spec(kernel, *args, slots=SLOTS, **options))


def told(bench: Bench, *jobs: Session) -> list[EventData]:
    """Events of these jobs, in order."""
    ids = {job.id for job in jobs}
    events = bench.cluster.evidence(bench.witness).events
    return [e for e in events if e.fields.get("session") in ids]


def order_of(bench: Bench, *jobs: Session) -> list[str]:
    """The jobs in the order in which they began to run."""
    return [e.fields["session"] for e in told(bench, *jobs) if e.name == "session.running"]


def test_a_job_waits_for_its_dependencies_and_runs_after_them(bench: Bench) -> None:
    """J1: submitted, checked, run in order, completed; as one graph of an office."""
    office = bench.client.office(f"office-{next(_NUMBERS)}")
    office.create()
    env = {"WITNESS_FILE": str(bench.witness)}
    job = {"callable": "tests.acceptance.kernels:work", "slots": SLOTS, "env": env}
    graph = bench.client.submit_graph(
        {
            "office": office.name,
            "jobs": [
                {"name": "merge", "needs": ["left", "right"], **job},
                {"name": "left", "needs": ["fetch"], **job},
                {"name": "right", "needs": ["fetch"], **job},
                {"name": "fetch", **job},
            ],
        }
    )
    assert {"SUCCEEDED": 4} == dict(graph.wait(timeout=60))
    ran = order_of(bench, *graph.jobs.values())
    names = {session.id: name for name, session in graph.jobs.items()}
    first, *middle, last = [names[i] for i in ran]
    assert ("fetch", {"left", "right"}, "merge") == (first, set(middle), last)


def test_at_most_three_run_at_a_time(bench: Bench, office: Office) -> None:
    """J2: the default of an office."""
    jobs = [submit(bench, office, "work", 0.1) for _ in range(9)]
    for job in jobs:
        job.get(timeout=60)
    holding: set[str] = set()
    most = 0
    hold = {f"session.{state.lower()}" for state in PLACED}
    for event in told(bench, *jobs):
        change = holding.add if event.name in hold else holding.discard
        change(event.fields["session"])
        most = max(most, len(holding))
    assert 3 == most


def test_a_job_that_runs_too_long_is_stopped_tried_again_and_ends_as_timed_out(
    bench: Bench, office: Office, tmp_path: Path
) -> None:
    """J4: session stopped, then retried, then TIMED_OUT once."""
    office.configure(timeout_ms=300, max_retries=1)
    job = submit(bench, office, "wait_for", str(tmp_path / "never"))
    data = job.wait(timeout=60)
    assert (S.TIMED_OUT, 2) == (data.state, data.attempt)
    names = [e.name for e in told(bench, job)]
    assert (1, 1) == (names.count("session.retrying"), names.count("session.timed_out"))


def test_a_job_that_fails_is_tried_twice_more_each_time_later(bench: Bench, office: Office) -> None:
    """J5: two retries, exponential back-off."""
    job = submit(bench, office, "fail_until", 3)
    assert 3 == job.get(timeout=60)
    events = told(bench, job)
    ready = [int(e.fields["at"]) for e in events if e.name == "session.ready"][1:]
    failed = [int(e.fields["at"]) for e in events if e.name == "session.retrying"]
    waits = [again - before for before, again in zip(failed, ready, strict=True)]
    assert 2 == len(waits)
    assert waits[0] >= 200
    assert waits[1] >= 400


def test_a_job_that_fails_for_good_takes_its_dependents_with_it_and_is_told(
    bench: Bench, office: Office
) -> None:
    """J5, J9: job_retrying twice, job_failed once; the child never ran."""
    since = bench.client.store.events.last_id()
    job = submit(bench, office, "fail_until", 99)
    child = submit(bench, office, "work", depends_on=[job.id])
    assert (S.FAILED, S.CANCELLED) == (job.wait(timeout=60).state, child.wait(timeout=60).state)
    assert f"dependency {job.id} ended FAILED" in child.data.reason
    heard: list[str] = []
    for event in bench.client.events("job_retrying", "job_failed", "job_cancelled", since=since):
        assert isinstance(event, SchedulerEvent)
        heard.append(event.event)
        if event.session == child.id:
            break
    assert ["job_retrying", "job_retrying", "job_failed", "job_cancelled"] == heard


def test_a_cycle_is_shown_and_nothing_is_written(bench: Bench, office: Office) -> None:
    """J1: refused before anything is written, with its path."""
    jobs = [
        {"name": name, "command": ["true"], "needs": [needs]}
        for name, needs in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    with pytest.raises(InvalidGraph) as caught:
        bench.client.submit_graph({"office": office.name, "jobs": jobs})
    assert any(path in str(caught.value) for path in ("a -> b -> c -> a", "a -> c -> b -> a"))
    assert [] == list(office.jobs())


def test_running_and_waiting_jobs_are_cancelled(
    bench: Bench, office: Office, tmp_path: Path
) -> None:
    """J7: a running job is stopped, what waits ends at once; all of an office in one go."""
    jobs = [submit(bench, office, "wait_for", str(tmp_path / "never")) for _ in range(5)]
    wait_until(
        lambda: sum(job.state is S.RUNNING for job in jobs) == 3,
        within=90,
        saying="three never ran",
    )
    jobs[0].cancel()
    assert S.CANCELLED is jobs[0].wait(timeout=60).state
    office.cancel_all()
    assert {S.CANCELLED} == {job.wait(timeout=60).state for job in jobs}


def test_higher_priorities_come_first_and_may_be_changed_while_they_wait(
    bench: Bench, office: Office, tmp_path: Path
) -> None:
    """J6, J7: by priority, then by age."""
    office.configure(max_concurrent_jobs=1)
    gate = tmp_path / "gate"
    first = submit(bench, office, "wait_for", str(gate))
    wait_until(lambda: first.state is S.RUNNING, within=90, saying="the first never ran")
    low, older, younger, high = (
        submit(bench, office, "work", priority=priority) for priority in (10, 50, 50, 20)
    )
    high.set_priority(90)
    gate.touch()
    for job in (low, older, younger, high):
        job.get(timeout=60)
    assert [first.id, high.id, older.id, younger.id, low.id] == order_of(
        bench, first, low, older, younger, high
    )


def test_a_job_that_cannot_be_is_refused_in_one_sentence(bench: Bench, office: Office) -> None:
    """J7: nothing of it is written."""
    for options, says in (
        ({"priority": 101}, "priority must be between 0 and 100"),
        ({"timeout": timedelta(0)}, "timeout must be more than zero"),
    ):
        with pytest.raises(SchedulerError, match=says):
            submit(bench, office, "work", **options)
    with pytest.raises(InvalidSpec, match="has no role 'boss'"):
        office.submit(bench.spec("work"), role="boss")
    assert [] == list(office.jobs())


def test_jobs_go_on_when_the_scheduler_and_an_agent_are_restarted(
    bench: Bench, office: Office
) -> None:
    """J8: SIGKILL in the middle of work; what ran there runs again, all of it ends, once each."""
    jobs = [submit(bench, office, "work", 0.3) for _ in range(12)]
    bench.sessions += jobs
    wait_until(lambda: bench.started(jobs[0]), within=90, saying="the first never started")
    for name in ("r1", "a1"):
        bench.cluster.kill(name)
    bench.cluster.start_replica("r1")
    bench.cluster.start_agent("a1")
    for job in jobs:
        job.get(timeout=90)
    bench.check(runs=4)
