"""Whatever happens to a placed session: every move is legal, and it concludes once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.moves import Claim, Finish, Lose, Move, Over, Stop, Up
from scheduler.domain.spec import OnLost
from scheduler.domain.states import (
    KERNEL_LIFE,
    SESSION_LIFE,
    STOP_STRENGTH,
    KernelState,
    SessionState,
    allowed,
)
from scheduler.intake import decide
from scheduler.intake.board import PlacedSession
from scheduler.intake.decide import Decision
from scheduler.protocol.report import EndReason
from tests.unit.intake.made import over, placed, rules

S, K = SessionState, KernelState
NEWS = st.tuples(
    st.sampled_from(["claimed", "up", "ended", "lost", "cancel", "timer"]),
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, None]),
    st.sampled_from(list(EndReason)),
)


@dataclass
class Script:
    """Stands for the scripts: applies moves to kernels and session, and insists on the tables."""

    session: SessionState
    kernels: list[KernelState]
    reason: str = ""
    finished: Finish | None = None

    def kernel(self, index: int, verb: str, target: KernelState) -> None:
        assert allowed(KERNEL_LIFE, verb, self.kernels[index], target), (verb, self.kernels[index])
        self.kernels[index] = target

    def move(self, verb: str, target: SessionState) -> None:
        assert allowed(SESSION_LIFE, verb, self.session, target), (verb, self.session, target)
        self.session = target

    def apply(self, move: Move) -> None:
        assert self.finished is None
        match move:
            case Claim():
                self.kernel(move.kernel, "claim", K.CLAIMED)
                if self.session is S.SCHEDULED:
                    self.move("claim", S.PREPARING)
            case Up():
                self.kernel(move.kernel, "up", K.UP)
                if move.last:
                    assert {K.UP} == set(self.kernels)
                    self.move("start", S.RUNNING)
            case Over():
                self.kernel(move.kernel, "end", K.ENDED)
            case Lose():
                self.kernel(move.kernel, "lose", K.LOST)
            case Stop():
                self.stop(move)
            case Finish():
                assert not any(
                    state in (K.ORDERED, K.CLAIMED, K.UP, K.STOPPING) for state in self.kernels
                )
                self.move(move.edge, S(move.target))
                self.finished = move
            case _:
                raise AssertionError(move)

    def stop(self, move: Stop) -> None:
        assert STOP_STRENGTH[move.reason] > STOP_STRENGTH.get(self.reason, 0)
        live = [
            i
            for i, state in enumerate(self.kernels)
            if state in (K.ORDERED, K.CLAIMED, K.UP, K.STOPPING)
        ]
        assert live == [kernel["index"] for kernel in move.kernels]
        for index in live:
            if self.kernels[index] is K.ORDERED:
                self.kernel(index, "withdraw", K.WITHDRAWN)
            elif self.kernels[index] is not K.STOPPING:
                self.kernel(index, "stop", K.STOPPING)
        self.move("stop", S.TERMINATING)
        self.reason = move.reason


def follow(session: PlacedSession, news: tuple[str, int, int | None, EndReason]) -> Decision:
    what, index, exit_code, reason = news
    kernel = session.kernels[index % len(session.kernels)]
    match what:
        case "claimed":
            return decide.claimed(session, kernel, 1, rules())
        case "up":
            return decide.up(session, kernel, rules())
        case "ended":
            return decide.ended(session, kernel, over(kernel.index, exit_code, reason), rules())
        case "lost":
            return decide.lost(session, [kernel], "gone", rules())
        case "cancel":
            return decide.stop(session, "cancelled", "by hand", rules())
        case _:
            return decide.timer(session, rules())


@given(
    size=st.integers(1, 3),
    news=st.lists(NEWS, max_size=12),
    retries=st.integers(0, 2),
    rescues=st.integers(0, 4),
    policy=st.sampled_from(list(OnLost)),
)
def test_every_move_is_legal_and_the_session_concludes_exactly_once(
    size: int,
    news: list[tuple[str, int, int | None, EndReason]],
    retries: int,
    rescues: int,
    policy: OnLost,
) -> None:
    """X8: the tables of states.py are the law; the end always comes once all kernels are over."""
    session = placed(
        S.SCHEDULED, [K.ORDERED] * size, attempt=0, retries=retries, rescues=rescues, on_lost=policy
    )
    script = Script(S.SCHEDULED, [K.ORDERED] * size)
    last = [("ended", index, 0, EndReason.EXITED) for index in range(size)]
    current: PlacedSession | None = session
    for each in [*news, *last]:
        if current is None:
            break
        decision = follow(current, each)
        for move in decision.moves:
            script.apply(move)
        current = decision.session
        if current is not None and any(isinstance(move, Stop) for move in decision.moves):
            # What became of unclaimed orders only the script knows: the leader reads it again.
            for index, state in enumerate(script.kernels):
                current = current.with_kernel(replace(current.kernels[index], state=state))
            if not any(kernel.live for kernel in current.kernels):
                script.apply(decide.conclude(current, rules()))
                current = None
        if current is not None:
            assert (script.session, script.kernels) == (
                current.state,
                [k.state for k in current.kernels],
            )

    assert None is current
    assert None is not script.finished
