"""The output monitor (J9): a kernel ends by what it prints, or by printing nothing."""

from __future__ import annotations

import pytest

from tests.integration.agents.stage import Leader

pytestmark = pytest.mark.integration

SHELL = ["sh", "-c"]


def test_a_line_of_the_pattern_ends_a_command_well_and_its_output_is_kept(leader: Leader) -> None:
    script = "echo begin; echo not ready; echo 'ready: 7'; sleep 1000 & wait"
    order = leader.start({"command": [*SHELL, script]}, done_pattern=r"ready: \d+")

    ended = leader.end(order)

    assert ("done_pattern", 15, "begin\nnot ready\nready: 7\n") == (
        ended.reason,
        ended.signal,
        leader.log(order),
    )
    assert "said that its work was done" in ended.error


def test_a_line_of_the_pattern_ends_a_callable_well(leader: Leader) -> None:
    ended = leader.run(
        {"callable": "work:say_and_wait", "args": ["ready"], "kwargs": {}}, done_pattern="ready"
    )

    assert "done_pattern" == ended.reason


@pytest.mark.parametrize(
    ("script", "code"), [("echo ready; exit 3", 3), ("printf ready >&2; exit 0", 0)]
)
def test_what_was_said_at_last_counts_also_when_it_exits_by_itself(
    leader: Leader, script: str, code: int
) -> None:
    """Whoever is faster, the exit or the monitor: it is done. Only who was stopped first has no code."""
    ended = leader.run({"command": [*SHELL, script]}, done_pattern="ready")

    assert "done_pattern" == ended.reason
    assert ended.exit_code in (code, None)


def test_a_callable_that_returns_keeps_its_result(leader: Leader) -> None:
    work = {"callable": "work:add", "args": [1, 2], "kwargs": {}}

    ended = leader.run(work, done_pattern="never said", silence_ms=60_000)

    assert ("exited", 0, "3") == (ended.reason, ended.exit_code, ended.result)


def test_a_part_of_a_line_is_no_line(leader: Leader) -> None:
    script = "echo not ready; printf ready; sleep 0.3; echo ' soon'; exit 3"

    ended = leader.run({"command": [*SHELL, script]}, done_pattern="ready")

    assert ("exited", 3) == (ended.reason, ended.exit_code)


@pytest.mark.parametrize(
    "work",
    [
        {"command": ["sleep", "1000"]},
        {"callable": "work:say_and_wait", "args": ["hello"], "kwargs": {}},
    ],
)
def test_silence_ends_it_badly(leader: Leader, work: dict[str, object]) -> None:
    ended = leader.run(work, silence_ms=300)

    assert ("silent", "It printed nothing for 0.3 s.") == (ended.reason, ended.error)


def test_who_prints_now_and_then_is_not_silent(leader: Leader) -> None:
    script = "for i in 1 2 3 4 5; do printf .; sleep 0.5; done"

    ended = leader.run({"command": [*SHELL, script]}, silence_ms=2_000)

    assert ("exited", 0) == (ended.reason, ended.exit_code)


def test_a_pattern_that_takes_for_ever_costs_its_own_kernel_only(leader: Leader) -> None:
    """Its deadline holds, the agent goes on, and its log says what is wrong."""
    script = f"while true; do echo {'a' * 60}; done"

    slow = leader.start({"command": [*SHELL, script]}, done_pattern="(a+)+b", timeout_ms=3_000)
    other = leader.run({"callable": "work:add", "args": [1, 2], "kwargs": {}})
    ended = leader.end(slow)

    assert ("3", "timed_out") == (other.result, ended.reason)
    assert "done_pattern takes too long" in leader.log(slow, "stderr")


def test_what_is_printed_while_it_is_stopped_is_too_late(leader: Leader) -> None:
    script = "trap 'echo ready; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    order = leader.start({"command": [*SHELL, script]}, done_pattern="ready")
    leader.up(order)

    leader.stop(order)

    assert "stopped" == leader.end(order).reason


def test_a_flood_passes_and_its_last_line_is_seen(leader: Leader) -> None:
    work = {"callable": "work:flood_and_say", "args": [500_000, "ready"], "kwargs": {}}
    order = leader.start(work, done_pattern="ready")

    ended = leader.end(order)

    assert ("done_pattern", 500_006) == (ended.reason, len(leader.log(order)))


def test_a_pattern_that_this_agent_cannot_read_is_a_bad_order(leader: Leader) -> None:
    ended = leader.run({"command": ["true"]}, done_pattern="(")

    assert "bad_order" == ended.reason
    assert "no regular expression" in ended.error
