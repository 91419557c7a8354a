"""What an office does with its jobs: other priorities, other roles, an end."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from scheduler.domain.errors import (
    InvalidSetting,
    OfficeNotFound,
    PendingLimitReached,
    RecordSpoilt,
    SessionNotFound,
    WrongState,
)
from scheduler.domain.events import SessionHandedOverEvent, SessionPriorityChangedEvent, typed
from scheduler.domain.office import office_scopes
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.states import PLACED, WAITING
from scheduler.operations import jobs
from scheduler.store.keys import Keys
from tests.unit.store.lives import FAR, GROUP, NOBODY, S, World, contents

BUILDER, TESTER = office_scopes("acme", "builder"), office_scopes("acme", "tester")
TESTING = Scope("role", "acme/tester")


@pytest.fixture
def world(redis_client: redis.Redis, keys: Keys) -> World:
    made = World(redis_client, keys)
    made.office("acme", max_concurrent_jobs=1000, roles=["builder", "tester"])
    return made


def queue(world: World) -> list[str]:
    return world.sessions.list_ids(GROUP, S.READY, limit=100)


def listed(world: World, **asked: Any) -> list[str]:
    return [data.id for data in jobs.list_jobs(world, "acme", **asked).items]


def last_event(world: World) -> Any:
    return typed(world.events.since("0-0", limit=1000)[-1])


# Priority


def test_a_waiting_job_takes_its_new_place_in_the_queue(world: World) -> None:
    """J5."""
    first, second, third = (world.submit(scopes=BUILDER) for _ in range(3))

    jobs.set_priority(world, "acme", third, 90)
    jobs.set_priority(world, "acme", first, 0)

    assert [third, second, first] == queue(world)
    assert [third, second, first] == listed(world), "lists are by submission"
    told = last_event(world)
    assert isinstance(told, SessionPriorityChangedEvent)
    assert (first, GROUP, 0, 10) == (told.session, told.group, told.priority, told.before)


@pytest.mark.parametrize("state", [S.PENDING, S.RETRYING, *PLACED])
def test_what_does_not_stand_in_the_queue_carries_its_priority_there(
    world: World, state: S
) -> None:
    """J5: a placed one takes it for its next attempt."""
    job = world.into(state)
    world.sessions.set_priority(job, 90)
    other = world.submit()
    assert [other] == queue(world)

    if state in PLACED:
        world.kernels_over(job)
        world.finish(job, S.READY, edge="rescue")
    elif state is S.RETRYING:
        world.settle(job, "requeue")
    else:
        world.reach_start_time(job)
        world.settle(job, "release")

    assert [job, other] == queue(world)


@pytest.mark.parametrize("state", [S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED])
def test_what_has_ended_has_no_priority_any_more(world: World, state: S) -> None:
    job = world.into(state)
    before = contents(world.client)

    with pytest.raises(WrongState, match=f"is {state}; another priority works only in PENDING"):
        world.sessions.set_priority(job, 50)
    assert before == contents(world.client)


@pytest.mark.parametrize("priority", [-1, 101, 2**70, True, "5", 5.0, None])
def test_a_priority_that_is_none_is_refused(world: World, priority: Any) -> None:
    job = world.submit()

    with pytest.raises(
        InvalidSetting, match="Bad setting priority: it must be between 0 and 100, got"
    ):
        world.sessions.set_priority(job, priority)


# Handing over


@pytest.mark.parametrize("state", [*WAITING, S.FAILED, S.TIMED_OUT, S.CANCELLED])
def test_a_job_gets_another_role(world: World, state: S) -> None:
    """J10."""
    job, stays = (world.into(state, scopes=BUILDER) for _ in range(2))

    jobs.handoff(world, "acme", job, "tester")
    told = last_event(world)

    assert ("acme", "tester") == (world.get(job).office, world.get(job).role)
    assert Scope("role", "acme/tester") in world.get(job).request.scopes
    assert ([job], [stays]) == (listed(world, role="tester"), listed(world, role="builder"))
    assert [stays, job] == listed(world, state=state)
    assert isinstance(told, SessionHandedOverEvent)
    assert ("acme", "tester", "builder") == (told.office, told.role, told.previous)
    uses = world.scopes.read([TESTING, Scope("role", "acme/builder"), Scope("office", "acme")])
    assert [state in WAITING] * 2 + [2 * (state in WAITING)] == [u.pending for u in uses.values()]


def test_it_runs_within_the_limits_of_its_new_role(world: World) -> None:
    job = world.submit(scopes=BUILDER)
    jobs.handoff(world, "acme", job, "tester")
    assert "placed" == world.place(job)
    assert {job} == world.scopes.members(TESTING)
    world.start(job)
    world.end(job)

    assert set() == world.scopes.members(TESTING)


def test_a_leader_that_read_it_before_is_told(world: World) -> None:
    """It charged the old role; it reads the job again and charges the new one."""
    job, other = world.submit(scopes=BUILDER), world.submit(scopes=BUILDER)
    planned = [world._placing(each, ("a1",)) for each in (job, other)]
    jobs.handoff(world, "acme", job, "tester")
    before = contents(world.client)

    assert ["stale"] == world.commit(planned[0])
    assert before == contents(world.client)
    assert ["placed"] == world.commit(planned[1])
    assert "placed" == world.place(job)


@pytest.mark.parametrize("state", [*PLACED, S.SUCCEEDED])
def test_what_runs_is_not_stopped_to_be_handed_over(world: World, state: S) -> None:
    job = world.into(state, scopes=BUILDER)
    before = contents(world.client)

    says = "; cancel it, hand it over, and retry it" if state in PLACED else r"\.$"
    with pytest.raises(WrongState, match=f"is {state}; handoff works only in CANCELLED, .*{says}"):
        jobs.handoff(world, "acme", job, "tester")
    assert before == contents(world.client)


def test_a_role_that_lets_nobody_wait_is_not_handed_to(world: World) -> None:
    world.scopes.limit(TESTING, ScopeLimits(max_pending_sessions=1))
    world.scopes.limit(Scope("office", "acme"), ScopeLimits(max_pending_sessions=2))
    job, _ = world.submit(scopes=BUILDER), world.submit(scopes=TESTER)
    before = contents(world.client)

    with pytest.raises(PendingLimitReached, match="acme/tester"):
        jobs.handoff(world, "acme", job, "tester")
    assert before == contents(world.client)
    world.scopes.limit(TESTING, ScopeLimits(max_pending_sessions=2))
    jobs.handoff(world, "acme", job, "tester")  # itself does not count against it in the office


def test_a_handoff_beside_another_one_decides_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.submit(scopes=BUILDER)
    seen = world.get(job)
    jobs.handoff(world, "acme", job, "tester")
    looks = iter([seen])
    get = world.sessions.get
    monkeypatch.setattr(world.sessions, "get", lambda session: next(looks, None) or get(session))

    jobs.handoff(world, "acme", job, "builder")

    assert "builder" == get(job).role
    jobs.handoff(world, "acme", job, "builder")


def test_what_it_inherits_is_that_of_its_new_role(world: World) -> None:
    config = world.offices.change(
        "acme", {"timeout_ms_by_role": {"builder": 60_000, "tester": 5_000}}
    ).config
    inherits = world.submit(scopes=BUILDER)
    its_own = world.submit(scopes=BUILDER, timeout="60s")

    for job in (inherits, its_own):
        jobs.handoff(world, "acme", job, "tester")

    asked = [world.get(job).request.under(config) for job in (inherits, its_own)]
    assert [5_000, 60_000] == [request.timeout_ms for request in asked]


@pytest.mark.parametrize(
    ("office", "role", "error"),
    [
        ("acme", "cook", InvalidSetting),
        ("acme", "", InvalidSetting),
        ("acme", "../x", InvalidSetting),
        ("globex", "tester", OfficeNotFound),
    ],
)
def test_a_role_that_is_none_is_refused(
    world: World, office: str, role: str, error: type[Exception]
) -> None:
    job = world.submit(scopes=BUILDER)
    before = contents(world.client)

    with pytest.raises(error):
        jobs.handoff(world, office, job, role)
    assert before == contents(world.client)


def test_what_asked_for_nothing_known_is_not_handed_over(world: World) -> None:
    job = world.submit(scopes=BUILDER)
    world.client.delete(world.keys.request(world.get(job).request.id))

    with pytest.raises(RecordSpoilt, match="what it asked for is gone"):
        jobs.handoff(world, "acme", job, "tester")


# An end, and again


def test_jobs_of_another_office_are_not_touched(world: World) -> None:
    world.office("globex")
    job = world.into(S.FAILED, scopes=BUILDER)
    for act in (
        lambda: jobs.cancel_job(world, "globex", job),
        lambda: jobs.retry_job(world, "globex", job),
        lambda: jobs.set_priority(world, "globex", job, 5),
        lambda: jobs.handoff(world, "globex", job, "a"),
        lambda: jobs.cancel_job(world, "acme", NOBODY),
    ):
        with pytest.raises(SessionNotFound):
            act()

    assert [job] == jobs.retry_job(world, "acme", job)
    assert "cancelled" == jobs.cancel_job(world, "acme", job)


def test_all_that_has_not_ended_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """J6: page by page; a repeat finds only what is still being stopped."""
    monkeypatch.setattr(jobs, "LARGEST_PAGE", 2)
    mine = {state: world.into(state, scopes=BUILDER) for state in S for _ in range(3)}
    other = world.submit()
    live = [*WAITING, *PLACED]

    assert 3 * len(live) == jobs.cancel_all(world, "acme")
    assert {S.CANCELLED} == {world.state(mine[state]) for state in WAITING}
    assert all(world.get(mine[state]).cancel_requested for state in PLACED)
    assert 3 * len(PLACED) == jobs.cancel_all(world, "acme")
    assert S.READY is world.state(other)


def test_only_one_state_and_one_role_may_be_cancelled(world: World) -> None:
    waits, tests = world.submit(scopes=BUILDER), world.submit(scopes=TESTER)
    starts, runs = (
        world.submit(scopes=BUILDER, not_before=FAR),
        world.into(S.RUNNING, scopes=TESTER),
    )

    assert 1 == jobs.cancel_all(world, "acme", S.READY, "builder")
    assert [S.CANCELLED, S.READY, S.PENDING] == [world.state(j) for j in (waits, tests, starts)]
    assert 0 == jobs.cancel_all(world, "acme", S.CANCELLED)
    assert 2 == jobs.cancel_all(world, "acme", role="tester")
    assert world.get(runs).cancel_requested
    assert 0 == jobs.cancel_all(world, "nowhere")


def test_what_is_submitted_meanwhile_is_not_chased(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LARGEST_PAGE", 2)
    for _ in range(5):
        world.submit(scopes=BUILDER)
    cancel, late = world.sessions.cancel, []

    def cancel_and_submit(session: str) -> str:
        late.append(world.submit(scopes=BUILDER))
        return cancel(session)

    monkeypatch.setattr(world.sessions, "cancel", cancel_and_submit)

    assert 5 == jobs.cancel_all(world, "acme")
    assert late == queue(world)
