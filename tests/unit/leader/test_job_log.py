"""What is logged of jobs: theirs, and whatever failed for good, once it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from scheduler.domain.moves import Advance, Finish, Move, Settle, Stop, Up
from scheduler.domain.office import office_scopes
from scheduler.domain.request import request_of
from scheduler.domain.spec import SessionSpec
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake.board import PlacedKernel, PlacedSession
from scheduler.leader.job_log import LINES_PER_S, JobLog

JOB = PlacedSession(
    "s1",
    SessionState.RUNNING,
    request_of(SessionSpec(callable="a:b", scopes=office_scopes("o", "dev"))),
    "p",
    (PlacedKernel(0, KernelState.UP, "a1", "b", {"cpu": 1}),),
    attempt=2,
)
NOBODYS = replace(JOB, request=request_of(SessionSpec(callable="a:b")))
FINISH = Finish("s1", "p", "end", "FAILED", "it exited with 1", "Trace\nboom", "boom", 0, 0, 0)
ADVANCE = Advance("s1", "p", "ORDERED", "ENDED", ["a1"], 1, 1, 1, "")


def logged(session: PlacedSession, *moves: Move, word: str = "done") -> list[tuple[str, str]]:
    with capture_logs() as lines:
        log = JobLog(structlog.get_logger(), int)
        for _, line in log.lines(session, moves):
            log.written(line, word)
    return [(line["log_level"], line["event"]) for line in lines]


@pytest.mark.parametrize(
    ("move", "lines"),
    [
        (Up("s1", "p", 0, 1, 1), [("info", "job_started")]),
        (Up("s1", "p", 0, 0, 1), []),
        (ADVANCE, [("info", "job_started"), ("info", "job_completed")]),
        (replace(ADVANCE, begins="UP"), [("info", "job_completed")]),
        (replace(ADVANCE, ends="CLAIMED"), []),
        (FINISH, [("error", "job_failed")]),
        (replace(FINISH, target="TIMED_OUT"), [("error", "job_timeout")]),
        (replace(FINISH, target="RETRYING"), [("warning", "job_retrying")]),
        (replace(FINISH, target="SUCCEEDED"), [("info", "job_completed")]),
        (replace(FINISH, target="READY"), []),
    ],
)
def test_each_step_of_a_job_is_a_line(move: Move, lines: list[tuple[str, str]]) -> None:
    """J13."""
    assert lines == logged(JOB, move)
    assert [] == logged(JOB, move, word="superseded"), "what was not written is not told"
    permanent = [line for line in lines if line[0] == "error"]
    assert permanent == logged(NOBODYS, move), "of nobody's only what failed for good"


def test_a_placement_that_was_cancelled_at_once_is_told() -> None:
    stop = Stop("s1", "p", "cancelled", "its owner asked", [], ["a1"])

    assert [("info", "job_cancelled")] == logged(JOB, stop, word="cancelled")
    assert [] == logged(JOB, stop, word="stopping")


def test_beyond_some_per_second_lines_are_counted() -> None:
    now = 1_000
    with capture_logs() as lines:
        log = JobLog(structlog.get_logger(), lambda: now)
        [(_, line)] = log.lines(JOB, [FINISH])
        for _ in range(LINES_PER_S + 7):
            log.written(line, "done")
        assert LINES_PER_S == len(lines)
        now = 2_000
        log.written(line, "done")

    assert {"event": "jobs.unlogged", "job_failed": 7, "log_level": "warning"} == lines[-2]


def test_a_line_has_its_context() -> None:
    with capture_logs() as lines:
        log = JobLog(structlog.get_logger(), int)
        for _, line in log.lines(JOB, [FINISH]):
            log.written(line, "done")
        log.settled(Settle("s2", "g", "refuse", "it can never run"), "done")
        log.settled(Settle("s2", "g", "expire", "it waited"), "done")

    assert [
        {
            "event": "job_failed",
            "log_level": "error",
            "session": "s1",
            "office": "o",
            "role": "dev",
            "attempt": 2,
            "agents": "a1",
            "reason": "it exited with 1",
            "error": "Trace",
        },
        {
            "event": "job_failed",
            "log_level": "error",
            "session": "s2",
            "reason": "it can never run",
        },
    ] == lines
