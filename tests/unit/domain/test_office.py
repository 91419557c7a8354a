"""Offices: their configuration as JSON, and whose job a session is (J2, J12)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.office import (
    JobSchedulerConfig,
    Office,
    as_json,
    check_office_name,
    check_role,
    config_from,
    office_and_role,
    office_scopes,
)
from scheduler.domain.retry import Growth, RetryPolicy
from scheduler.domain.scope import Scope


def test_the_defaults_are_those_of_the_seed() -> None:
    """J2, J4, J5: three at a time, two retries, exponential back-off, half an hour."""
    config = config_from({})
    assert config == JobSchedulerConfig()
    assert (3, 2, 30 * 60_000) == (
        config.max_concurrent_jobs,
        config.max_retries,
        config.timeout_of(""),
    )
    assert config.backoff.kind is Growth.EXPONENTIAL


def test_a_configuration_reads_back_as_it_was_written() -> None:
    config = config_from(
        {
            "max_concurrent_by_role": {"reviewer": 1},
            "timeout_ms_by_role": {"builder": 5_000},
            "roles": ["writer"],
            "backoff": {"kind": "linear", "initial_ms": 10},
        }
    )
    assert config_from(as_json(config)) == config
    assert config.known_roles == ("builder", "reviewer", "writer")
    assert (config.timeout_of("builder"), config.timeout_of("writer")) == (5_000, 1_800_000)


def test_what_is_not_named_stays() -> None:
    before = config_from({"max_concurrent_jobs": 7, "backoff": {"jitter": 0}})
    after = config_from({"backoff": {"factor": 3}}, before)
    assert after.max_concurrent_jobs == 7
    assert after.backoff == RetryPolicy(factor=3.0, jitter=0.0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_concurrent_jobs": -1}, "max_concurrent_jobs: it must be a whole number from 0"),
        ({"max_concurrent_jobs": "3"}, "got '3'"),
        ({"max_concurrent_jobs": True}, "got True"),
        ({"max_retries": 1.5}, "max_retries: it must be a whole number from 0 to 1000, got 1.5"),
        ({"timeout_ms": 0}, "timeout_ms: it must be a whole number from 1"),
        ({"timeout_ms_by_role": {"a/b": 1}}, "role 'a/b' is no name"),
        ({"max_concurrent_by_role": []}, "it must be an object, got []"),
        ({"roles": "writer"}, "roles: it must be a list of names"),
        ({"roles": [3]}, "role 3 is no name"),
        ({"backoff": 3}, "backoff: it must be an object"),
        ({"backoff": {"kind": "square"}}, "there are exponential, linear, constant"),
        ({"backoff": {"jitter": 2}}, "backoff.jitter: it must be a number from 0 to 1, got 2"),
        ({"backoff": {"factor": float("nan")}}, "backoff.factor"),
        ({"backoff": {"maximum_ms": 1}}, "it must be at least initial_ms, 1000"),
        ({"backoff": {"intial_ms": 1}}, "did you mean 'initial_ms'?"),
        ({"max_retry": 1}, "did you mean 'max_retries'?"),
    ],
)
def test_bad_values_are_told_by_their_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        config_from(given)
    assert says in str(caught.value)


def test_a_job_is_told_by_its_scopes() -> None:
    scopes = [Scope(*pair) for pair in office_scopes("acme", "writer").items()]
    assert office_and_role([Scope("user", "u"), *scopes]) == ("acme", "writer")
    assert office_and_role([Scope("office", "acme")]) == ("acme", "")
    assert office_and_role([Scope("user", "u")]) == ("", "")


def test_an_office_name_has_no_slash_and_a_role_must_be_known() -> None:
    with pytest.raises(InvalidSetting, match="'a/b' is no name"):
        check_office_name("a/b")
    office = Office("acme", config_from({"roles": ["writer"]}), 1)
    check_role(office, "writer")
    check_role(office, "")
    with pytest.raises(InvalidSpec, match="no role 'boss'; its roles are: writer"):
        check_role(office, "boss")
