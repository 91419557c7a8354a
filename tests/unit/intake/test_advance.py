"""Reports of one kernel that came together become one move, which is what they become one by one."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.moves import Advance, Claim, Finish, Move, Over, Up
from scheduler.domain.states import KernelState, SessionState
from scheduler.intake import decide
from scheduler.intake.advance import advanced
from scheduler.intake.board import PlacedSession
from scheduler.intake.decide import Decision
from scheduler.protocol.report import EndReason, KernelReport, ReportKind
from tests.unit.intake.made import BOOT, PLACEMENT, SESSION, placed, rules

S: TypeAlias = SessionState
K: TypeAlias = KernelState
R: TypeAlias = ReportKind
_SAID = st.builds(
    KernelReport,
    kind=st.sampled_from([R.CLAIMED, R.UP, R.ENDED]),
    agent=st.sampled_from(["a0", "a0", "a0", "a1"]),
    boot=st.sampled_from([BOOT, BOOT, BOOT, "e" * 32]),
    session=st.just(SESSION),
    kernel=st.sampled_from([0, 0, 0, 1]),
    placement=st.sampled_from([PLACEMENT, PLACEMENT, PLACEMENT, "f" * 32]),
    exit_code=st.sampled_from([0, 0, 0, 1, None]),
    signal=st.sampled_from([None, None, None, 9]),
    reason=st.sampled_from([EndReason.EXITED, EndReason.EXITED, EndReason.STOPPED, ""]),
    error=st.sampled_from(["", "", "boom"]),
    result=st.sampled_from([None, "1"]),
)
_LIFE = {K.ORDERED: S.SCHEDULED, K.CLAIMED: S.PREPARING, K.UP: S.RUNNING}


def good(*kinds: ReportKind) -> list[tuple[KernelReport, int]]:
    """Reports of a kernel that does well; its claim is number 7."""
    return [
        (
            KernelReport(
                kind=kind,
                agent="a0",
                boot=BOOT,
                session=SESSION,
                kernel=0,
                placement=PLACEMENT,
                exit_code=0 if kind is R.ENDED else None,
                reason=EndReason.EXITED if kind is R.ENDED else "",
            ),
            7 if kind is R.CLAIMED else 0,
        )
        for kind in kinds
    ]


def one_by_one(session: PlacedSession, said: list[tuple[KernelReport, int]]) -> Decision:
    """What `decide` makes of the same."""
    moves: list[Move] = []
    now: PlacedSession | None = session
    for report, number in said:
        assert now
        kernel = now.kernels[0]
        match report.kind:
            case R.CLAIMED:
                decision = decide.claimed(now, kernel, number, rules())
            case R.UP:
                decision = decide.up(now, kernel, rules())
            case _:
                decision = decide.ended(now, kernel, report, rules())
        moves += decision.moves
        now = decision.session
    return Decision(tuple(moves), now)


def steps(move: Advance) -> list[Move]:
    """What its script writes, as moves of their own."""
    states = [K.ORDERED, K.CLAIMED, K.UP, K.ENDED]
    between = states[states.index(K(move.begins)) + 1 : states.index(K(move.ends)) + 1]
    named = (move.session, move.placement)
    found: dict[KernelState, list[Move]] = {
        K.CLAIMED: [Claim(*named, 0, move.agents, move.barrier, move.timeout)],
        K.UP: [Up(*named, 0, 1, move.deadline)],
        K.ENDED: [
            Over(*named, 0, "0", "", "exited", "", move.result),
            Finish(*named, "end", "SUCCEEDED", "", "", "", 0, 0, 0),
        ],
    }
    return [each for state in between for each in found[state]]


@given(
    state=st.sampled_from(list(S)),
    kernels=st.lists(st.sampled_from(list(K)), min_size=1, max_size=2),
    said=st.lists(st.tuples(_SAID, st.integers(0, 5)), min_size=1, max_size=4),
)
def test_it_is_what_they_become_one_by_one_or_left_to_them(
    state: S, kernels: list[K], said: list[tuple[KernelReport, int]]
) -> None:
    session = placed(state, kernels)

    decision = advanced(session, said, rules())

    if decision is not None:
        [move] = decision.moves
        assert isinstance(move, Advance)
        assert one_by_one(session, said) == Decision(tuple(steps(move)), decision.session)


@given(begins=st.sampled_from(list(_LIFE)), count=st.integers(1, 3), attempt=st.integers(0, 3))
def test_every_stretch_of_a_good_life_is_one_move(begins: K, count: int, attempt: int) -> None:
    session = placed(_LIFE[begins], [begins], attempt=attempt)
    said = good(*[R.CLAIMED, R.UP, R.ENDED][list(_LIFE).index(begins) :][:count])

    decision = advanced(session, said, rules())

    assert decision
    assert one_by_one(session, said) == Decision(
        tuple(steps(decision.moves[0])),  # type: ignore[arg-type]  # it is an Advance
        decision.session,
    )


def test_what_was_asked_to_stop_is_left_to_the_usual_way() -> None:
    session = placed(S.TERMINATING, [K.UP], reason="cancelled")

    assert advanced(session, good(R.ENDED), rules()) is None
