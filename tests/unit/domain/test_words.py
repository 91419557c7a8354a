"""Small texts that people read: headlines of errors, what a session runs, words that were meant."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidSetting, Refused
from scheduler.domain.ids import shown
from scheduler.domain.request import request_of
from scheduler.domain.session import headline
from scheduler.domain.spec import SessionSpec
from scheduler.domain.spelling import meant, refuse_mistyped
from scheduler.domain.work import SHOWN_WORK, work_line


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("It was killed.", "It was killed."),
        (
            'Traceback (most recent call last):\n  File "x"\n    f()\nValueError: no\n',
            "ValueError: no",
        ),
        (
            'Traceback (most recent call last):\n  File "x"\nValueError: one\ntwo\n',
            "ValueError: one",
        ),
        (
            "  + Exception Group Traceback\n  |   File\n  | ExceptionGroup: a\n  +-+---",
            "ExceptionGroup: a",
        ),
    ],
)
def test_the_headline_of_an_error_is_what_was_raised(error: str, expected: str) -> None:
    assert expected == headline(error)


def test_what_a_session_runs_is_one_short_line() -> None:
    called = SessionSpec(callable="a:b", args=[1, "x"], kwargs={"k": None})
    long = SessionSpec(command=["sh", "-c", "one\ntwo" * 100])

    assert "a:b(1, 'x', k=None)" == work_line(called)
    assert (SHOWN_WORK, True) == (
        len(work_line(long)),
        work_line(long).startswith("sh -c 'one two"),
    )


def test_a_word_that_was_probably_meant_is_offered() -> None:
    assert "did you mean 'keypair'?" == meant("keypiar", ["user", "keypair"])
    assert "there are user, keypair" == meant("planet", ["user", "keypair"])


def test_a_mistyped_setting_is_named_and_a_stranger_is_not_ours() -> None:
    with pytest.raises(InvalidSetting, match="did you mean SCHEDULER_LEADER_TTL"):
        refuse_mistyped(["SCHEDULER_LEADER_TLL"], ["leader_ttl"], "SCHEDULER_")

    refuse_mistyped(
        ["SCHEDULER_LEADER_TTL", "SCHEDULER_LEASE", "LEADER_TLL"], ["leader_ttl"], "SCHEDULER_"
    )


def test_whatever_was_given_can_stand_in_a_sentence() -> None:
    assert "a very large number" == shown(10**5000)
    assert "'" + "x" * 64 + "'..." == shown("x" * 10**6)
    assert 67 == len(shown(list(range(1000))))


@pytest.mark.parametrize(("why", "said"), [("a path.", "a path."), ("what?", "what?"), ("a", "a.")])
def test_an_error_ends_with_one_stop(why: str, said: str) -> None:
    assert f"Refused: {said}" == str(Refused(why=why))


def test_shares_of_several_kernels_are_counted_in_idle_devices() -> None:
    three = request_of(SessionSpec(callable="a:b", slots={"cuda.shares": 600}, cluster_size=3))

    assert {"cuda.shares": 600, "cuda.device": 3} == three.need
    assert "3 kernels of cuda.shares=600 on one agent" == three.asks
