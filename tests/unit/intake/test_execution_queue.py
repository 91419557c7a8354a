"""What follows the end of a job's attempt (J2, J5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from scheduler.domain.queue import Outcome
from scheduler.domain.request import Request, request_of
from scheduler.domain.retry import Growth, RetryPolicy
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import SessionState
from scheduler.jobs.execution_queue import ExecutionQueue

QUEUE = ExecutionQueue(cast("Any", None), RetryPolicy(initial_ms=1_000), lambda: 0.5)


@dataclass(frozen=True)
class Tried:
    """A job that was tried so often."""

    request: Request
    attempt: int
    retries_from: int = 0


def tried(attempt: int, retries: int = 2, **backoff: Any) -> Tried:
    spec = SessionSpec(callable="a:b", retries=retries, backoff=backoff or None)
    return Tried(request_of(spec), attempt)


def test_success_is_an_end_whatever_is_left() -> None:
    assert QUEUE.on_job_complete(tried(1), success=True) == Outcome(SessionState.SUCCEEDED)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("failed", SessionState.FAILED),
        ("timed_out", SessionState.TIMED_OUT),
        ("silent", SessionState.TIMED_OUT),
    ],
)
def test_a_failure_is_for_good_once_the_retries_are_used(error: str, state: SessionState) -> None:
    assert (
        QUEUE.on_job_complete(tried(2), success=False, error=error).state is SessionState.RETRYING
    )
    assert QUEUE.on_job_complete(tried(3), success=False, error=error) == Outcome(state)
    assert QUEUE.on_job_complete(tried(1, retries=0), success=False, error=error) == Outcome(state)


def test_attempts_before_somebody_asked_for_it_again_do_not_count() -> None:
    assert QUEUE.handle_failure(replace(tried(5), retries_from=4), "failed") == Outcome(
        SessionState.RETRYING, 900
    )


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ({"jitter": 0}, [1_000, 2_000, 4_000]),
        ({"kind": "linear", "jitter": 0}, [1_000, 2_000, 3_000]),
        ({"kind": "constant", "jitter": 0, "initial_ms": 7}, [7, 7, 7]),
        ({"factor": 10, "maximum_ms": 5_000, "jitter": 1}, [500, 2_500, 2_500]),
    ],
)
def test_each_kind_of_back_off(backoff: dict[str, Any], delays: list[int]) -> None:
    found = [
        QUEUE.on_job_complete(tried(n, 9, **backoff), success=False).delay_ms for n in (1, 2, 3)
    ]
    assert found == delays


def test_without_a_policy_of_its_own_the_replicas_holds() -> None:
    assert [QUEUE.calculate_retry_delay(attempt) for attempt in (1, 2, 99)] == [900, 1_800, 54_000]
    constant = RetryPolicy(kind=Growth.CONSTANT, initial_ms=10, jitter=0.0)
    assert QUEUE.calculate_retry_delay(5, constant) == 10
