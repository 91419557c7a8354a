"""Events of jobs by the names of seed 002."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidSetting
from scheduler.domain.events import CATALOGUE, EventData, SessionEvent
from scheduler.domain.job_events import (
    JOB_EVENTS,
    JobEvent,
    JobFacts,
    as_job,
    scheduler_event,
    selects,
)
from scheduler.domain.subscriber import check_patterns
from scheduler.domain.throttle import Throttle, Window, digest_of


def test_every_event_of_a_session_has_a_name_as_a_jobs_and_no_other_has() -> None:
    sessions = {name for name, kind in CATALOGUE.items() if issubclass(kind, SessionEvent)}

    assert (sessions, set(JobEvent)) == (set(JOB_EVENTS), set(JOB_EVENTS.values()))


@pytest.mark.parametrize(
    ("patterns", "event", "selected", "job"),
    [
        (("job_failed",), "session.failed", True, True),
        (("job_*",), "session.ready", True, True),
        (("job_*", "session.failed"), "session.failed", True, False),
        (("*",), "session.failed", True, False),
        (("job_failed",), "session.succeeded", False, False),
        (("job_*",), "agent.lost", False, False),
    ],
)
def test_either_name_asks_for_it(
    patterns: tuple[str, ...], event: str, *, selected: bool, job: bool
) -> None:
    assert (selected, job) == (selects(patterns, event), as_job(patterns, event))


def test_a_pattern_that_names_no_event_is_refused() -> None:
    check_patterns(["job_timeout", "job_*"])
    with pytest.raises(InvalidSetting, match="'job_exploded' names no event"):
        check_patterns(["job_exploded"])


def test_the_event_of_a_job_carries_what_its_sessions_does() -> None:
    fields = {"at": "99", "session": "s", "group": "g", "from": "RUNNING", "verb": "end"}
    fields |= {"attempt": "2", "placement": "p", "agents": "a1 a2", "reason": "it exited with 1"}
    facts = JobFacts(office="o", priority=0, error="boom")

    found = scheduler_event(EventData(7, 3, "session.failed", fields), facts)

    assert (JobEvent.FAILED, "7-3", 99, "s", 2, ("a1", "a2"), "o") == (
        found.event,
        found.id,
        found.at_ms,
        found.session,
        found.attempt,
        found.agents,
        found.job.office,
    )
    assert fields | {"office": "o", "priority": 0, "error": "boom"} == found.as_fields()


@pytest.mark.parametrize("text", ["10", "0/5m", "x/5m", "10/", "10/0s", "10/8d", "-1/5m", "2/5y"])
def test_a_throttle_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="so many messages per time"):
        Throttle.parse(text)


def test_a_window_lets_so_many_through_counts_the_rest_and_is_followed_by_a_digest() -> None:
    throttle, window = Throttle.parse("2/5m"), Window()
    for now in (1_000_000, 1_000_001):
        assert not window.holds(throttle, now)
        window = window.after_message(throttle, now)
    assert window.holds(throttle, 1_000_002)
    for number in range(7):
        window = window.after_holding("job_failed", f"s{number}")
    assert window == Window.read(window.text())

    over = 1_000_000 + 300_000
    digest = digest_of(window, throttle, "7-3")
    assert (False, True) == (window.due(throttle, over - 1), window.due(throttle, over))
    assert ("digest-7-3", 7, over) == (digest.id, digest.count, digest.at_ms)
    assert digest.told.startswith("7 job_failed: job_failed of s0, ")
    assert digest.told.endswith("job_failed of s4 and 2 more")
    assert Window(since=over, sent=1) == window.after_message(throttle, over)
