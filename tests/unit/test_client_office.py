"""An office from Python: `Client.office` (J2-J6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis

from scheduler import Client, SessionSpec
from scheduler.auth.keys import ApiKeys
from scheduler.domain.errors import (
    InvalidSetting,
    InvalidSpec,
    KeyRefused,
    OfficeAwaited,
    OfficeOnRecord,
    OfficeRevisionConflict,
    SessionNotFound,
    SessionRevisionConflict,
    WrongState,
)
from scheduler.domain.states import SessionState
from scheduler.operations import offices as operations
from scheduler.store.keys import Keys
from scheduler.store.retention import RetentionRepository
from tests.unit.store.lives import World


@pytest.fixture
def app(redis_client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of a namespace with a group, on each kind of server."""
    World(redis_client, keys)
    monkeypatch.setattr("scheduler.bootstrap.connect", lambda *_, **__: redis_client)
    monkeypatch.setattr("scheduler.client.check_server", lambda _: None)
    return Client("redis://127.0.0.1:1/0", keys.root)


def test_an_option_that_does_not_exist_is_refused_with_a_sentence(app: Client) -> None:
    app.office("web").create()
    for enqueue in (app.enqueue, app.office("web").submit):
        with pytest.raises(
            InvalidSpec, match="there is no option 'priorty': did you mean 'priority'"
        ):
            enqueue("jobs:noop", priorty=3)
    with pytest.raises(InvalidSpec, match="there is no option 'callable'"):
        app.enqueue("jobs:noop", callable="jobs:other")


def test_an_office_is_made_changed_and_used(app: Client) -> None:
    web, shop = app.office("web"), app.office("shop")
    web.create(max_concurrent_by_role={"reviewer": 1})
    shop.create()
    assert web.configure(max_retries=5, expected=1).max_retries == web.config.max_retries == 5
    with pytest.raises(OfficeRevisionConflict):
        web.configure(max_retries=6, expected=1)
    assert (web.revision, repr(web)) == (2, "<Office web>")

    first = web.submit("jobs:noop", 1, role="reviewer", priority=50, idempotency_key="k")
    second = web.submit(SessionSpec(command=["true"]))
    assert (
        first.id == web.submit("jobs:noop", 1, role="reviewer", priority=50, idempotency_key="k").id
    )
    assert first.id != shop.submit("jobs:noop", 1, idempotency_key="k").id, "its keys are its own"
    assert [data.id for data in web.jobs()] == [second.id, first.id]
    assert [data.id for data in web.jobs(SessionState.READY, role="reviewer")] == [first.id]
    assert first.data.request.retries == 5
    stats = web.stats()
    assert (stats.ready, stats.available_slots, stats.waiting) == (2, 3, 2)
    assert (web.available_slots(), web.available_slots("reviewer")) == (3, 1)
    web.execute(first)
    with pytest.raises(SessionNotFound):
        shop.execute(first.id)
    with pytest.raises(WrongState):
        web.notify_failure(first)
    with pytest.raises(InvalidSpec, match="go into the spec"):
        web.submit(SessionSpec(command=["true"]), priority=5)
    first.cancel()
    second.cancel()
    with pytest.raises(OfficeOnRecord):
        web.delete()
    web.delete(forget=True)
    assert app.store.offices.names() == ["shop"]


def test_an_office_made_again_has_nothing_of_the_one_before(app: Client) -> None:
    """Its key, job, idempotency key, counts and digests were another tenant's."""
    web = app.office("web")
    web.create(roles=["builder"])
    keys = ApiKeys(app.store.api_keys)
    text, _ = keys.create("submitter", office="web")
    jobs = [web.submit("jobs:noop", n, role="builder", idempotency_key=f"k{n}") for n in range(3)]
    web.cancel_all()
    for job in ("web", "web/builder"):
        app.store.client.hset(app.store.keys.durations(job), "8", 1)
        app.store.client.zadd(app.store.keys.digests(), {job: 0})

    assert web.delete(forget=True) == 1
    web.create(roles=["builder"])

    with pytest.raises(KeyRefused, match="was revoked"):
        keys.recognise(text)
    assert (list(web.jobs()), web.stats().cancelled, app.store.durations.read("web")) == ([], 0, {})
    again = web.submit("jobs:other", role="builder", idempotency_key="k0")
    assert again.id not in {job.id for job in jobs}


def test_an_office_with_a_job_that_others_wait_for_stays(app: Client) -> None:
    web = app.office("web")
    web.create()
    job = web.submit("jobs:noop")
    other = app.enqueue("jobs:noop", depends_on={job.id: "hold"})
    job.cancel()

    with pytest.raises(OfficeAwaited, match="wait for 1 of its jobs"):
        web.delete(forget=True)
    other.cancel()
    assert app.store.offices.names() == ["web"]


def test_more_jobs_than_one_step_takes_are_forgotten_with_their_logs(
    app: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_FORGOTTEN_PER_STEP", 2)
    web = app.office("web")
    web.create()
    jobs = [web.submit("jobs:noop", n) for n in range(5)]
    web.cancel_all()
    told: list[str] = []
    monkeypatch.setattr(
        RetentionRepository, "delete_logs", lambda _, found: told.extend(d.id for d in found)
    )

    web.delete(forget=True)

    assert set(told) == {job.id for job in jobs}
    assert app.store.client.keys("*session*") == []


def test_its_jobs_are_steered(app: Client) -> None:
    """J5, J6, J9, J10."""
    web = app.office("web")
    web.create(roles=["builder", "tester"])
    first, second = (web.submit("jobs:noop", n, role="builder") for n in range(2))

    second.set_priority(90)
    web.handoff(first, "tester")

    assert (90, "tester") == (second.data.priority, first.data.role)
    assert [] == web.executions(first)
    with pytest.raises(SessionNotFound):
        app.office("shop").executions(first)
    assert 1 == web.cancel_all(SessionState.READY, role="tester")
    assert (SessionState.CANCELLED, SessionState.READY) == (first.state, second.state)
    assert 1 == web.cancel_all()


def test_a_job_is_changed_at_the_revision_that_was_seen(app: Client) -> None:
    web = app.office("web")
    web.create(roles=["builder", "tester"])
    job = web.submit("jobs:noop", role="builder")
    seen = job.revision

    job.set_priority(90, expected=seen)

    changes: list[Callable[[], object]] = [
        lambda: job.set_priority(80, expected=seen),
        lambda: job.set_timeout("2h", expected=seen),
        lambda: web.handoff(job, "tester", expected=seen),
        lambda: job.cancel(expected=seen),
        lambda: job.retry(expected=seen),
    ]
    for change in changes:
        with pytest.raises(SessionRevisionConflict, match="nothing was written"):
            change()
    seen = job.revision
    job.set_timeout("2h", expected=seen)
    assert seen != job.revision
    web.configure(timeout_ms=1000)
    job.cancel(expected=job.revision)
    job.retry(expected=job.revision)
    assert (90, 7_200_000, "builder") == (
        job.data.priority,
        job.data.own_timeout_ms,
        job.data.role,
    )


def test_a_job_shows_what_it_inherits_from_its_office(app: Client) -> None:
    web = app.office("web")
    web.create()
    job = web.submit("jobs:noop")
    seen = job.revision

    web.configure(timeout_ms=1000)

    with pytest.raises(SessionRevisionConflict):
        job.cancel(expected=seen)


def test_the_jobs_of_all_offices_are_listed(app: Client) -> None:
    jobs = []
    for name in ("web", "shop"):
        app.office(name).create()
        jobs += [app.office(name).submit("jobs:noop", name=f"{name}-{n}").id for n in range(25)]
    app.enqueue("jobs:noop")

    assert jobs[::-1] == [job.id for job in app.jobs()]
    assert jobs[24::-1] == [job.id for job in app.jobs(SessionState.READY, name="web-*")]
    assert [] == list(app.jobs(agent="a1"))


def test_its_jobs_are_listed_by_when_they_were_submitted(app: Client) -> None:
    web = app.office("web")
    web.create()
    first, second = web.submit("jobs:noop"), web.submit("jobs:noop")
    app.store.client.hset(app.store.keys.session(first.id), "submitted_at", 1_000)

    cut = datetime(2020, 1, 1, tzinfo=UTC)
    assert [first.id] == [data.id for data in web.jobs(submitted_before=cut)]
    assert [second.id] == [data.id for data in web.jobs(submitted_after=cut)]
    assert [first.id] == [
        data.id for data in web.jobs(submitted_after=1_000, submitted_before=1_001)
    ]
    for wrong in (cut.replace(tzinfo=None), "2020", True):
        with pytest.raises(InvalidSetting, match="a datetime with a time zone"):
            next(web.jobs(submitted_before=wrong))  # type: ignore[arg-type]
