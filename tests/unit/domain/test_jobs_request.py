"""What a job's request says, and what it leaves to its office (J2, J4, J5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.domain.office import JobSchedulerConfig, config_from, office_scopes
from scheduler.domain.request import Request, parse_request_text, request_of
from scheduler.domain.retry import Growth, RetryPolicy
from scheduler.domain.spec import SessionSpec

CONFIG = config_from(
    {
        "max_retries": 5,
        "timeout_ms": 60_000,
        "timeout_ms_by_role": {"builder": 5_000},
        "backoff": {"kind": "linear", "initial_ms": 10},
        "roles": ["writer"],
    }
)


def job(role: str = "", **asked: Any) -> Request:
    """The request of a job of an office."""
    return request_of(SessionSpec(callable="jobs:noop", scopes=office_scopes("web", role), **asked))


@pytest.mark.parametrize(
    ("role", "timeout_ms"), [("", 60_000), ("writer", 60_000), ("builder", 5_000)]
)
def test_what_a_job_does_not_say_its_office_says(role: str, timeout_ms: int) -> None:
    found = job(role).under(CONFIG)

    assert (timeout_ms, 5, CONFIG.backoff) == (found.timeout_ms, found.retries, found.backoff)
    assert found.id == job(role).id


def test_what_a_job_says_stays() -> None:
    asked = job("builder", timeout="1s", retries=0, backoff={"kind": "constant", "initial_ms": 7})

    assert asked.under(CONFIG) is asked
    assert (asked.timeout_ms, asked.retries) == (1_000, 0)
    assert asked.backoff == RetryPolicy(kind=Growth.CONSTANT, initial_ms=7)
    assert job("builder", retries=0).under(CONFIG).retries == 0


def test_without_a_readable_office_a_job_has_the_defaults_of_offices() -> None:
    usual = JobSchedulerConfig()
    assert (usual.timeout_ms, usual.max_retries) == (job().timeout_ms, job().retries)


def test_what_is_inherited_is_not_what_happens_to_be_the_same() -> None:
    """A job that asks for 30 minutes keeps them whatever its office says later."""
    assert job().id != job(timeout="30m", retries=2).id
    assert job(timeout="30m", retries=2).inherits == {"backoff"}


def test_a_session_of_no_office_reads_as_it_always_did() -> None:
    """Requests that were stored before there were offices have the same text, and so the same id."""
    plain = request_of(SessionSpec(callable="jobs:noop"))

    assert not {"inherits", "backoff"} & json.loads(plain.text).keys()
    assert (plain.timeout_ms, plain.retries, plain.backoff) == (1_800_000, 0, None)
    assert plain.under(CONFIG) is plain
    assert plain == request_of(SessionSpec(callable="jobs:noop", timeout="30m", retries=0))


def test_a_session_of_no_office_may_have_a_back_off_of_its_own() -> None:
    policy = RetryPolicy(kind=Growth.LINEAR, initial_ms=20, jitter=0.0)
    found = request_of(SessionSpec(callable="jobs:noop", retries=3, backoff=policy))

    assert parse_request_text(found.text).backoff == policy
