"""What is counted of two plans for one picture, and a shadow that is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from scheduler.cycle.plan import Placement, Plan
from scheduler.cycle.scheduler import propose
from scheduler.cycle.selectors.dispersed import DispersedAgentSelector
from scheduler.cycle.sequencers.fifo import FifoScheduler
from scheduler.cycle.shadow import TOLD, Shadow, compare
from scheduler.cycle.waiting import WaitingSession
from scheduler.domain.verdict import Verdict
from scheduler.plugins.interfaces import Candidate, KernelAgentBinding
from tests.unit.cycle.made import agent, policy, request, snapshot, waiting

SESSIONS = {name: waiting(request(mem=str(i + 1)), name=name) for i, name in enumerate("abcdefgh")}
NO = Verdict.blocked("somebody", "no")


class Unranked(FifoScheduler):
    name: ClassVar[str] = "unranked"

    def rank(self, candidate: Candidate) -> tuple[int, ...]:
        if candidate.seq >= 100:
            raise KeyError(candidate.id)
        return super().rank(candidate)


class Learner(DispersedAgentSelector):
    name: ClassVar[str] = "learner"
    learned: ClassVar[list[str]] = []

    def learn(self, arrived: Sequence[Candidate]) -> None:
        self.learned.extend(candidate.id for candidate in arrived)


def plan(placed: str, refused: str = "") -> Plan:
    """Sessions with their agents, as "a1 b2"; kernels of one with a comma."""
    made = Plan(refusals={SESSIONS[name].request.id: NO for name in refused})
    for word in placed.split():
        bindings = [
            KernelAgentBinding(i, host, "", {}) for i, host in enumerate(word[1:].split(","))
        ]
        made.placements.append(Placement(SESSIONS[word[0]], tuple(bindings)))
    return made


@pytest.mark.parametrize(
    ("real", "shadow", "expected"),
    [
        ("a1 b2", "a1 b2", "same=2 alike"),
        ("a1 b2", "b2 a1", "same=2 reordered"),
        ("a1 b1,2", "a1 b2,1", "same=1 elsewhere=1"),
        ("a1 b2", "b2 c1", "same=1 only_real=1 only_shadow=1"),
        ("a1", "", "only_real=1"),
        ("", "a1 b1", "only_shadow=2"),
    ],
)
def test_what_two_plans_place_is_compared_session_by_session(
    real: str, shadow: str, expected: str
) -> None:
    """K17."""
    counts = dict(compare(plan(real), plan(shadow)).counts)

    said = [
        f"{kind}={n}"
        for kind in ("same", "elsewhere", "only_real", "only_shadow")
        if (n := counts[kind])
    ]
    said += [word for word in ("alike", "reordered") if counts[f"cycles_{word}"]]
    assert (1, expected) == (counts["cycles"], " ".join(said))


def test_a_line_that_one_refused_and_the_other_placed_is_counted_both_ways() -> None:
    found = compare(plan("a1 b1", refused="cd"), plan("c1 b1", refused="ad"))

    assert 2 == found.counts["lines_refused_by_one"]


def test_a_few_differences_are_told_of_each_kind() -> None:
    found = compare(plan("a1 b1 c1 d1 e1 f1"), plan("a2 g1 h1"))

    kinds = [difference.kind for difference in found.told]
    assert TOLD == len(kinds)
    assert {"elsewhere": 1, "only_shadow": 2, "only_real": 2} == {k: kinds.count(k) for k in kinds}
    first = next(d for d in found.told if d.kind == "elsewhere")
    assert ("a", ("1",), ("2",)) == (first.session, first.real, first.shadow)


def test_a_shadow_follows_who_comes_and_goes() -> None:
    made = snapshot([agent("x", 9_000)], [waiting(name="old", seq=1)])
    shadow = Shadow(replace(policy(), scheduler=FifoScheduler({})), made.waiting)

    def proposed() -> list[str]:
        return [placement.session.id for placement in shadow.propose(made, limit=9).placements]

    assert ["old"] == proposed()
    made.waiting.add(waiting(name="new", seq=2))
    made.waiting.discard("old")
    assert ["new"] == proposed()
    assert ["new"] == proposed()
    propose(made, policy(), limit=9)
    assert [] == proposed()
    shadow.leave()
    assert None is made.waiting.twin


def test_a_shadows_selector_learns_of_each_arrival_once() -> None:
    Learner.learned.clear()
    made = snapshot([agent("x", 9_000)], [waiting(name="old")])
    shadow = Shadow(policy(Learner({})), made.waiting)

    shadow.propose(made, limit=9)
    made.waiting.add(waiting(name="new"))
    shadow.propose(made, limit=9)
    shadow.propose(made, limit=9)

    assert ["new"] == Learner.learned


def test_a_shadow_that_cannot_rank_who_arrives_harms_nobody() -> None:
    made = snapshot([agent("x", 9_000)], [waiting(seq=1)])
    shadow = Shadow(replace(policy(), scheduler=Unranked({})), made.waiting)

    made.waiting.add(waiting(seq=100))
    made.waiting.add(waiting(seq=2, name="s"))
    made.waiting.discard("s")

    told = shadow.propose(made, limit=9)
    assert "it cannot rank sessions: KeyError: 's000100'" == told.broken
    assert 2 == len(propose(made, policy(), limit=9).placements)


def test_two_shadows_do_not_leave_in_each_others_place() -> None:
    made = snapshot([agent("x")])
    first = Shadow(policy(), made.waiting)
    second = Shadow(policy(), made.waiting)

    first.leave()

    assert None is not made.waiting.twin
    second.leave()
    assert None is made.waiting.twin


def test_a_session_in_the_room_of_a_shadow_is_the_same_one() -> None:
    """What it proposes is compared by id and agent; nothing of it is committed."""
    made = snapshot([agent("x")], [session := waiting()])

    (placement,) = Shadow(policy(), made.waiting).propose(made, limit=9).placements

    assert isinstance(placement.session, WaitingSession)
    assert session is placement.session
