"""What is an office's jobs is listed by state and by role, whatever moves, and read in pages."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from scheduler.domain.errors import InvalidSetting, SessionNotFound
from scheduler.domain.job import ExecutionStatus, Period, job_text
from scheduler.domain.office import office_scopes
from scheduler.domain.scope import Scope
from scheduler.operations.jobs import JobPage, executions, job_of, list_jobs
from scheduler.store.keys import Keys
from tests.unit.store.lives import GROUP, NOBODY, S, World


@pytest.fixture
def world(redis_client: redis.Redis, keys: Keys) -> World:
    made = World(redis_client, keys)
    for office in ("acme", "globex"):
        made.office(office, max_concurrent_jobs=1000, roles=["builder", "tester"])
    return made


ACME = office_scopes("acme", "builder")


def ids(page: JobPage) -> list[str]:
    return [data.id for data in page.items]


def all_pages(world: World, limit: int, **asked: Any) -> list[str]:
    page = list_jobs(world, "acme", limit=limit, **asked)
    found = ids(page)
    while page.cursor:
        page = list_jobs(world, "acme", limit=limit, cursor=page.cursor, **asked)
        found += ids(page)
    return found


@pytest.mark.parametrize("state", S)
def test_a_job_is_found_in_whatever_state_it_is(world: World, state: S) -> None:
    """J9."""
    job = world.into(state, scopes=ACME)
    world.into(state, scopes=office_scopes("globex", "builder"))
    world.into(state)

    for role in (None, "builder"):
        assert [job] == ids(list_jobs(world, "acme", state, role))
        assert [job] == ids(list_jobs(world, "acme", role=role))
        assert {state: 1} == {s: n for s, n in world.jobs.counts("acme", role or "").items() if n}
    assert [] == ids(list_jobs(world, "acme", role="tester"))


def test_pages_go_from_the_newest_to_the_oldest_through_all_states(world: World) -> None:
    jobs = [world.into(state, scopes=ACME) for state in S for _ in range(2)]

    for limit in (1, 3, 100):
        assert jobs[::-1] == all_pages(world, limit)
        assert jobs[::-1] == all_pages(world, limit, role="builder")


def test_a_page_neither_skips_nor_repeats_what_moves(world: World) -> None:
    jobs = [world.submit(scopes=ACME) for _ in range(6)]
    first = list_jobs(world, "acme", limit=2)
    world.place(jobs[5])
    world.sessions.cancel(jobs[2])
    world.place(jobs[0])
    late = world.submit(scopes=ACME)

    rest = list_jobs(world, "acme", cursor=first.cursor)

    assert jobs[::-1] == ids(first) + ids(rest)
    assert late not in ids(rest)
    assert rest.cursor is None


def test_what_is_forgotten_is_listed_no_more(world: World) -> None:
    world.into(S.FAILED, scopes=ACME)
    world.forget(S.FAILED, 2**45)

    assert [] == ids(list_jobs(world, "acme"))
    assert [] == list(world.client.scan_iter(f"{world.keys.root}:office:*:jobs:*"))


def test_many_placements_of_one_script_are_all_listed(world: World) -> None:
    office = [world.submit(scopes=ACME) for _ in range(3)]
    others = [world.submit(scopes=office_scopes("globex")) for _ in range(2)]

    assert ["placed"] * 5 == world.place_all([*office, *others])
    assert office[::-1] == ids(list_jobs(world, "acme", S.SCHEDULED, "builder"))
    assert others[::-1] == ids(list_jobs(world, "globex", S.SCHEDULED))
    assert [] == ids(list_jobs(world, "acme", S.READY))


@pytest.mark.parametrize(
    ("scopes", "text"),
    [
        ({}, ""),
        ({"user": "u"}, ""),
        ({"office": "acme"}, "acme"),
        (ACME, "acme/builder"),
        ({"role": "acme/builder"}, ""),
        # What could be submitted before there were offices.
        ({"office": "an office/of old"}, ""),
        ({"office": "a:b"}, ""),
        ({"office": "acme", "role": "globex/builder"}, "acme"),
    ],
)
def test_whose_job_it_is_stands_in_its_scopes(scopes: dict[str, str], text: str) -> None:
    assert text == job_text(Scope(*each) for each in scopes.items())


@pytest.mark.parametrize("cursor", ["", "x", "YmVmb3Jl", "ключ", "YmVmb3JlIC0x", "YWZ0ZXIgNw"])
def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidSetting, match="is not one that a page of jobs ended with"):
        list_jobs(world, "acme", cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_beyond_a_page_is_refused(world: World, limit: int) -> None:
    with pytest.raises(InvalidSetting, match="from 1 to 1000"):
        list_jobs(world, "acme", limit=limit)


def test_a_job_of_another_office_is_not_found(world: World) -> None:
    job, nobodys = world.submit(scopes=ACME), world.submit()

    assert job == job_of(world, "acme", job).id
    for office, session in (("globex", job), ("acme", nobodys), ("acme", NOBODY), ("", nobodys)):
        with pytest.raises(SessionNotFound):
            job_of(world, office, session)


def test_executions_tell_every_try_and_how_it_went(world: World) -> None:
    """J9: it failed, was stopped at its deadline, lost its agent, and runs."""
    job = world.into(S.RUNNING, scopes=ACME)
    world.kernels_over(job)
    world.finish(job, S.RETRYING, reason="failed", told="exit 1")
    for target, reason in ((S.RETRYING, "timed_out"), (S.READY, "lost"), (S.READY, "unplaced")):
        if world.state(job) is S.RETRYING:
            world.settle(job, "requeue")
        world.place(job)
        world.start(job)
        world.kernels_over(job)
        world.finish(job, target, reason=reason, told=f"says {reason}", uncounted=1)
    world.place(job)
    world.start(job)

    tries = executions(world, "acme", job)

    assert [(1, "failed"), (2, "timed_out"), (3, "lost"), (5, "running")] == [
        (each.attempt, each.status) for each in tries
    ]
    assert ["exit 1", "says timed_out", "says lost", ""] == [each.error for each in tries]
    assert all(each.agents == ("a1",) and each.timeout_at for each in tries)
    assert [None] == [each.ended_at for each in tries if each.status is ExecutionStatus.RUNNING]


@pytest.mark.parametrize("state", [S.SUCCEEDED, S.FAILED, S.TIMED_OUT])
def test_the_last_execution_ended_as_the_job_did(world: World, state: S) -> None:
    [only] = executions(world, "acme", world.into(state, scopes=ACME))

    assert str(state).lower() == only.status
    assert only.ended_at is not None


def test_a_cancel_is_dated_when_it_was_asked_for(world: World) -> None:
    """J9."""
    waits, runs = world.submit(scopes=ACME), world.into(S.RUNNING, scopes=ACME)
    world.sessions.cancel(waits)
    world.sessions.cancel(runs)
    asked = world.get(runs).cancelled_at
    assert asked is not None
    world.stop(runs, "cancelled")
    world.end(runs, S.CANCELLED)

    assert world.get(waits).cancelled_at == world.get(waits).ended_at
    assert asked == world.get(runs).cancelled_at
    world.sessions.retry(waits)
    assert world.get(waits).cancelled_at is None


def test_retries_are_counted_from_the_last_time_it_was_asked_for(world: World) -> None:
    job = world.into(S.RETRYING, scopes=ACME)
    assert 0 == world.get(job).retry_count
    world.settle(job, "requeue")
    world.place(job)
    world.start(job)
    assert 1 == world.get(job).retry_count
    world.end(job, S.FAILED)
    world.sessions.retry(job)

    assert 0 == world.get(job).retry_count
    assert GROUP == world.get(job).group


def at_times(world: World, *times: int) -> list[str]:
    """Jobs as if they had been submitted then, some of them in other states by now."""
    made = []
    for n, at in enumerate(times):
        job = world.into((S.READY, S.FAILED, S.CANCELLED)[n % 3], scopes=ACME)
        world.client.hset(world.keys.session(job), "submitted_at", at)
        made.append(job)
    return made


@pytest.mark.parametrize("role", [None, "builder"])
def test_jobs_are_listed_by_when_they_were_submitted(world: World, role: str | None) -> None:
    """J9: from the one time on, up to the other, page by page, of one state or all."""
    jobs = at_times(world, *range(100, 110))

    def between(after: int | None, before: int | None, **asked: Any) -> list[str]:
        asked |= {"submitted": Period.of(after, before), "role": role}
        return all_pages(world, 2, **asked)[::-1]

    assert jobs[3:7] == between(103, 107)
    assert jobs[:7] == between(None, 107)
    assert jobs[3:] == between(103, None)
    assert [] == between(110, None) + between(None, 100) + between(105, 105)
    assert [jobs[4]] == between(103, 107, state=S.FAILED)
    assert [] == ids(list_jobs(world, "globex", submitted=Period(103, 107)))


def test_what_was_submitted_by_a_clock_that_was_put_back_is_not_shown_as_older(
    world: World,
) -> None:
    jobs = at_times(world, 100, 101, 102, 50)

    assert [jobs[3], *jobs[1::-1]] == all_pages(world, 10, submitted=Period(0, 102))


def test_a_job_whose_record_is_gone_does_not_keep_others_from_being_found(world: World) -> None:
    jobs = at_times(world, *range(100, 106))
    world.client.delete(world.keys.session(jobs[2]))

    assert jobs[3:5] == all_pages(world, 10, submitted=Period(103, 105))[::-1]


@pytest.mark.parametrize("times", [(5, 4), (-1, 4), (0, 2**53)])
def test_times_between_which_nothing_is_are_refused(times: tuple[int, int]) -> None:
    with pytest.raises(InvalidSetting, match="it must be from 0 to submitted_before"):
        Period(*times)
