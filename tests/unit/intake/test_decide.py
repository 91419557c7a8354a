"""What follows from claims, starts, ends, losses, stops and timers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.domain.moves import Claim, Finish, Lose, Over, Stop, Up
from scheduler.domain.spec import OnLost
from scheduler.domain.states import STOP_STRENGTH, KernelState, SessionState
from scheduler.intake import decide
from scheduler.intake.board import PlacedSession
from scheduler.intake.decide import Decision
from scheduler.protocol.report import EndReason, KernelReport
from tests.unit.intake.made import over, placed, rules

S, K = SessionState, KernelState
LIVE_STATES = [K.CLAIMED, K.UP, K.STOPPING]


def finish(decision: Decision) -> Finish:
    """The one conclusion of a decision."""
    found = [move for move in decision.moves if isinstance(move, Finish)]
    assert len(found) == 1
    assert decision.session is None
    return found[0]


def end(session: PlacedSession, report: KernelReport) -> Decision:
    return decide.ended(session, session.kernels[report.kernel], report, rules())


def lose(session: PlacedSession, *kernels: int) -> Decision:
    return decide.lost(session, [session.kernels[k] for k in kernels], "agent a0 is gone", rules())


# Claims


def test_the_first_claim_begins_the_attempt() -> None:
    session = placed(S.SCHEDULED, [K.ORDERED, K.ORDERED], attempt=2)

    decision = decide.claimed(session, session.kernels[0], 7, rules())

    after = decision.session
    assert after is not None
    assert (
        Claim(session.id, session.placement, 0, ["a0", "a1"], 60_000, session.request.timeout_ms),
    ) == decision.moves
    assert (S.PREPARING, 3, K.CLAIMED, 7) == (
        after.state,
        after.attempt,
        after.kernels[0].state,
        after.kernels[0].claim,
    )


def test_a_further_claim_counts_no_further_attempt() -> None:
    session = placed(S.PREPARING, [K.CLAIMED, K.ORDERED], attempt=3)

    decision = decide.claimed(session, session.kernels[1], 8, rules())

    assert decision.session is not None
    assert (1, S.PREPARING, 3) == (
        len(decision.moves),
        decision.session.state,
        decision.session.attempt,
    )


@pytest.mark.parametrize("state", [K.CLAIMED, K.UP, K.STOPPING, K.ENDED, K.LOST, K.WITHDRAWN])
def test_a_claim_told_twice_moves_nothing_and_teaches_its_number(state: KernelState) -> None:
    session = placed(S.TERMINATING, [state], reason="cancelled")

    decision = decide.claimed(session, session.kernels[0], 9, rules())

    assert decision.session is not None
    assert ((), 9, state) == (
        decision.moves,
        decision.session.kernels[0].claim,
        decision.session.kernels[0].state,
    )


# Starts


def test_the_last_kernel_that_comes_up_starts_the_session_and_its_deadline() -> None:
    session = placed(S.PREPARING, [K.UP, K.CLAIMED])

    decision = decide.up(session, session.kernels[1], rules())

    assert decision.session is not None
    assert (Up(session.id, session.placement, 1, 1, 30 * 60_000 + 2_000),) == decision.moves
    assert S.RUNNING is decision.session.state


@pytest.mark.parametrize("other", [K.ORDERED, K.CLAIMED])
def test_a_kernel_that_comes_up_before_the_others_waits_for_them(other: KernelState) -> None:
    session = placed(S.PREPARING, [K.CLAIMED, other])

    decision = decide.up(session, session.kernels[0], rules())

    assert decision.session is not None
    assert (S.PREPARING, [0]) == (
        decision.session.state,
        [m.last for m in decision.moves if isinstance(m, Up)],
    )


def test_a_kernel_that_is_up_before_its_claim_was_heard_was_claimed() -> None:
    session = placed(S.SCHEDULED, [K.ORDERED], attempt=0)

    decision = decide.up(session, session.kernels[0], rules())

    assert decision.session is not None
    assert ["claim", "up"] == [move.verb for move in decision.moves]
    assert (S.RUNNING, 1) == (decision.session.state, decision.session.attempt)


@pytest.mark.parametrize("state", [K.UP, K.STOPPING, K.ENDED, K.LOST, K.WITHDRAWN])
def test_a_start_that_comes_late_or_twice_moves_nothing(state: KernelState) -> None:
    session = placed(S.TERMINATING, [state, K.UP], reason="cancelled")

    decision = decide.up(session, session.kernels[0], rules())

    assert ((), session) == (decision.moves, decision.session)


def test_a_session_being_stopped_does_not_start_any_more() -> None:
    session = placed(S.TERMINATING, [K.CLAIMED], reason="cancelled")

    decision = decide.up(session, session.kernels[0], rules())

    assert decision.session is not None
    assert S.TERMINATING is decision.session.state


# Ends


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_kernel_that_exits_with_zero_makes_its_session_succeed(state: KernelState) -> None:
    session = placed(S.RUNNING, [state])

    decision = end(session, over(result="42"))

    found = finish(decision)
    assert [Over(session.id, session.placement, 0, "0", "", "exited", "", "42"), found] == list(
        decision.moves
    )
    assert ("end", S.SUCCEEDED, "", 0) == (found.edge, found.target, found.error, found.uncounted)


def test_an_end_heard_before_its_claim_was_claimed_first() -> None:
    decision = end(placed(S.SCHEDULED, [K.ORDERED]), over(exit_code=1))

    assert ["claim", "over", "finish"] == [move.verb for move in decision.moves]


@pytest.mark.parametrize("state", [K.ENDED, K.LOST, K.WITHDRAWN])
def test_an_end_told_twice_moves_nothing(state: KernelState) -> None:
    session = placed(S.RUNNING, [state, K.UP])

    assert ((), session) == ((d := end(session, over())).moves, d.session)


def test_only_the_main_kernel_gives_the_result() -> None:
    decision = end(placed(S.RUNNING, [K.UP, K.UP]), over(kernel=1, result="42"))

    assert [""] == [move.result for move in decision.moves if isinstance(move, Over)]


def test_a_session_waits_for_its_other_kernels_when_one_ended_well() -> None:
    decision = end(placed(S.RUNNING, [K.UP, K.UP]), over())

    assert decision.session is not None
    assert (["over"], S.RUNNING) == ([m.verb for m in decision.moves], decision.session.state)


@pytest.mark.parametrize(
    ("report", "reason", "says"),
    [
        (over(exit_code=3), "failed", "kernel 0 exited with 3"),
        (
            over(exit_code=1, reason=EndReason.RAISED, error="ValueError: no"),
            "failed",
            "ValueError: no",
        ),
        (
            over(exit_code=None, reason=EndReason.OUT_OF_MEMORY),
            "failed",
            "kernel 0 on a0: out of memory",
        ),
        (
            over(exit_code=None, reason=EndReason.TIMED_OUT),
            "timed_out",
            "kernel 0 on a0: timed out",
        ),
        (over(exit_code=None, reason=EndReason.AGENT_LEFT), "lost", "kernel 0 on a0: agent left"),
    ],
)
def test_one_kernel_that_ends_badly_stops_the_others(
    report: KernelReport, reason: str, says: str
) -> None:
    """Architecture 4: stop."""
    decision = end(placed(S.RUNNING, [K.UP, K.UP, K.ENDED]), report)

    stop = decision.moves[-1]
    assert isinstance(stop, Stop)
    assert (reason, says, [1], S.TERMINATING) == (
        stop.reason,
        stop.says,
        [kernel["index"] for kernel in stop.kernels],
        decision.session and decision.session.state,
    )


def test_the_strongest_reason_among_kernels_decides_the_end() -> None:
    session = placed(S.TERMINATING, [K.STOPPING, K.LOST, K.WITHDRAWN], reason="unplaced")

    found = finish(end(session, over(exit_code=9, reason=EndReason.KILLED)))

    assert (S.FAILED, "failed", "kernel 0 on a0: killed") == (
        found.target,
        found.reason,
        found.error,
    )


@pytest.mark.parametrize("exit_code", [0, 1, None])
def test_a_cancelled_session_is_cancelled_however_its_kernels_end(exit_code: int | None) -> None:
    """Architecture 4: all exited 0 is SUCCEEDED unless cancelled."""
    session = placed(S.TERMINATING, [K.STOPPING], reason="cancelled", retries=5)

    found = finish(end(session, over(exit_code=exit_code)))

    assert (S.CANCELLED, "says cancelled", "") == (found.target, found.reason, found.error)


def test_a_session_stopped_at_its_deadline_that_exits_with_zero_succeeded() -> None:
    found = finish(end(placed(S.TERMINATING, [K.STOPPING], reason="timed_out"), over()))

    assert (S.SUCCEEDED, "") == (found.target, found.reason)


def test_a_session_stopped_at_its_deadline_timed_out() -> None:
    session = placed(S.TERMINATING, [K.STOPPING], reason="timed_out")

    found = finish(end(session, over(exit_code=None, reason=EndReason.STOPPED)))

    assert (S.TIMED_OUT, "timed_out", "says timed_out") == (found.target, found.reason, found.error)


def test_a_kernel_stopped_by_its_agent_at_the_deadline_timed_out_too() -> None:
    found = finish(end(placed(S.RUNNING, [K.UP]), over(exit_code=None, reason=EndReason.TIMED_OUT)))

    assert (S.TIMED_OUT, "end") == (found.target, found.edge)


def test_a_sibling_stopped_because_of_a_failure_does_not_hide_it() -> None:
    session = placed(S.TERMINATING, [K.ENDED, K.STOPPING], reason="failed")

    found = finish(end(session, over(kernel=1, exit_code=None, reason=EndReason.STOPPED)))

    assert (S.FAILED, "says failed") == (found.target, found.error)


def test_an_order_nobody_claimed_costs_no_attempt() -> None:
    session = placed(S.TERMINATING, [K.STOPPING, K.WITHDRAWN], reason="unplaced")

    found = finish(end(session, over(exit_code=None, reason=EndReason.STOPPED)))

    assert (S.READY, 1, 0, "end") == (found.target, found.uncounted, found.rescued, found.edge)
    assert "kernel 1 on a1: its order was not claimed in time" == found.told


# Retries


@pytest.mark.parametrize(
    ("attempt", "retries_from", "target", "delay"),
    [
        (1, 0, S.RETRYING, 1_000),
        (2, 0, S.RETRYING, 2_000),
        (3, 0, S.FAILED, 0),
        (3, 1, S.RETRYING, 2_000),  # a rescue or an unplacing in between was no attempt of its own
        (9, 8, S.RETRYING, 1_000),  # an operator asked for it again
    ],
)
def test_retries_count_only_attempts_of_the_sessions_own(
    attempt: int, retries_from: int, target: SessionState, delay: int
) -> None:
    """J5, W6."""
    session = placed(S.RUNNING, [K.UP], attempt=attempt, retries=2, retries_from=retries_from)

    found = finish(end(session, over(exit_code=1)))

    assert (target, delay, "failed") == (found.target, found.delay, found.reason)


def test_a_session_that_timed_out_is_retried_as_well() -> None:
    """J4: the session is stopped, then retried or failed."""
    session = placed(S.TERMINATING, [K.STOPPING], reason="timed_out", retries=1)

    found = finish(end(session, over(exit_code=None, reason=EndReason.STOPPED)))

    assert (S.RETRYING, "timed_out") == (found.target, found.reason)


# Losses


@pytest.mark.parametrize("state", [S.SCHEDULED, S.PREPARING, S.RUNNING])
def test_a_session_whose_agent_is_lost_runs_again(state: SessionState) -> None:
    """W4."""
    session = placed(state, [K.ORDERED if state is S.SCHEDULED else K.UP], rescues=2)

    decision = lose(session, 0)

    found = finish(decision)
    assert isinstance(decision.moves[0], Lose)
    assert ("rescue", S.READY, 1, 1, "lost") == (
        found.edge,
        found.target,
        found.rescued,
        found.uncounted,
        found.reason,
    )


def test_a_session_lost_too_often_fails() -> None:
    found = finish(lose(placed(S.RUNNING, [K.UP], rescues=3, retries=9), 0))

    assert (S.FAILED, "its agent was lost 4 times; agent a0 is gone") == (found.target, found.error)


@pytest.mark.parametrize("policy", [OnLost.FAIL, OnLost.KEEP])
def test_a_session_that_must_not_run_again_fails_with_its_agent(policy: OnLost) -> None:
    found = finish(lose(placed(S.RUNNING, [K.UP], on_lost=policy, retries=9), 0))

    assert ("rescue", S.FAILED, 0, "lost") == (
        found.edge,
        found.target,
        found.rescued,
        found.reason,
    )


def test_the_kernels_that_live_on_are_stopped_when_one_is_lost() -> None:
    decision = lose(placed(S.RUNNING, [K.UP, K.UP]), 0)

    assert decision.session is not None
    assert (["lose", "stop"], "lost", S.TERMINATING) == (
        [m.verb for m in decision.moves],
        decision.session.reason,
        decision.session.state,
    )


def test_a_cancelled_session_whose_agent_is_lost_is_cancelled() -> None:
    found = finish(lose(placed(S.TERMINATING, [K.STOPPING], reason="cancelled"), 0))

    assert ("rescue", S.CANCELLED) == (found.edge, found.target)


def test_a_session_over_its_deadline_whose_agent_is_lost_timed_out() -> None:
    found = finish(lose(placed(S.TERMINATING, [K.STOPPING], reason="timed_out"), 0))

    assert ("rescue", S.TIMED_OUT) == (found.edge, found.target)


def test_losing_what_is_over_changes_nothing() -> None:
    session = placed(S.RUNNING, [K.ENDED, K.UP])

    assert Decision((), session) == lose(session, 0)


def test_an_agent_that_was_stopped_gives_its_sessions_back() -> None:
    found = finish(
        end(placed(S.RUNNING, [K.UP]), over(exit_code=None, reason=EndReason.AGENT_LEFT))
    )

    assert ("end", S.READY, 0, 1) == (found.edge, found.target, found.rescued, found.uncounted)


def test_work_that_was_said_to_be_done_is_done_however_its_process_ended() -> None:
    """J9."""
    found = finish(
        end(placed(S.RUNNING, [K.UP]), over(exit_code=None, reason=EndReason.DONE_PATTERN))
    )

    assert (S.SUCCEEDED, "done_pattern", "") == (found.target, found.reason, found.error)


@pytest.mark.parametrize(("retries", "target"), [(0, S.TIMED_OUT), (1, S.RETRYING)])
def test_silence_is_a_timeout_of_its_own_name(retries: int, target: SessionState) -> None:
    """J9."""
    report = over(exit_code=None, reason=EndReason.SILENT, error="It printed nothing for 3 s.")
    found = finish(end(placed(S.RUNNING, [K.UP], retries=retries), report))

    assert (target, "silent", "It printed nothing for 3 s.") == (
        found.target,
        found.reason,
        found.error,
    )


# Stops and timers


@pytest.mark.parametrize("stronger", STOP_STRENGTH)
@pytest.mark.parametrize("weaker", STOP_STRENGTH)
def test_a_stronger_reason_replaces_a_weaker_one_and_never_the_other_way(
    stronger: str, weaker: str
) -> None:
    session = placed(S.TERMINATING, [K.STOPPING], reason=weaker)

    decision = decide.stop(session, stronger, "now", rules())

    replaced = STOP_STRENGTH[stronger] > STOP_STRENGTH[weaker]
    assert decision.session is not None
    assert (int(replaced), stronger if replaced else weaker) == (
        len(decision.moves),
        decision.session.reason,
    )


def test_a_stop_names_the_kernels_that_may_live_with_an_order_for_each() -> None:
    session = placed(S.RUNNING, [K.ENDED, K.UP, K.LOST, K.STOPPING])

    decision = decide.stop(session, "cancelled", "by hand", rules())

    stop = decision.moves[0]
    assert isinstance(stop, Stop)
    assert [
        (1, f"stop {session.order(1)} cancelled"),
        (3, f"stop {session.order(3)} cancelled"),
    ] == [(kernel["index"], kernel["stop"]) for kernel in stop.kernels]


@pytest.mark.parametrize(
    ("state", "kernels", "reason"),
    [
        (S.SCHEDULED, [K.ORDERED], "unplaced"),
        (S.PREPARING, [K.CLAIMED, K.ORDERED], "unplaced"),
        (S.PREPARING, [K.UP, K.CLAIMED], "failed"),
        (S.RUNNING, [K.UP], "timed_out"),
    ],
)
def test_a_session_whose_time_is_over_is_stopped_for_what_it_was_doing(
    state: SessionState, kernels: list[KernelState], reason: str
) -> None:
    """J4; architecture 4 and 8: claim timeout, barrier, deadline."""
    decision = decide.timer(placed(state, kernels), rules())

    assert decision.session is not None
    assert (reason, S.TERMINATING) == (decision.session.reason, decision.session.state)


def test_a_session_being_stopped_has_no_timer() -> None:
    session = placed(S.TERMINATING, [K.STOPPING], reason="failed")

    assert Decision((), session) == decide.timer(session, rules())


def test_the_sentences_of_timers_name_the_time() -> None:
    running = decide.timer(placed(S.RUNNING, [K.UP]), rules()).session
    preparing = decide.timer(placed(S.PREPARING, [K.CLAIMED]), rules()).session

    assert running is not None
    assert preparing is not None
    assert ("it ran for longer than 1800 s", "not all kernels were up within 60 s") == (
        running.says,
        preparing.says,
    )


def test_a_conclusion_without_any_reason_is_a_failure() -> None:
    """All stopped by somebody, and no reason on the session: nothing we ordered."""
    session = placed(S.RUNNING, [K.ENDED])
    odd = session.with_kernel(replace(session.kernels[0], exit_code=None, reason=EndReason.STOPPED))

    found = decide.conclude(odd, rules())

    assert (S.FAILED, "failed") == (found.target, found.reason)
