"""Explaining one session from facts given by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from scheduler.cycle.validators.concurrency import ConcurrencyValidator
from scheduler.cycle.validators.dependencies import DependenciesValidator
from scheduler.domain.ids import SessionId
from scheduler.domain.position import Position
from scheduler.domain.scope import GLOBAL, ScopeLimits, ScopeUse
from scheduler.domain.session import KernelData, SessionData
from scheduler.domain.states import KernelState, SessionState
from scheduler.domain.verdict import Excess
from scheduler.operations.explain import Explanation, Refusal, explain
from scheduler.plugins.interfaces import AbstractValidator, Dependency, ValidatorContext
from tests.unit.cycle.made import request

S = SessionState
RULES = (ConcurrencyValidator(), DependenciesValidator())
FULL = {"by": "agents", "reason": "no agent has cpu=1", "cures": ["an agent joins"]}
NO_ROOM = {"failures": [FULL], "tries": 7, "last_at": 99}
READY = SessionData(
    id=SessionId("0" * 26),
    group="default",
    name="",
    state=S.READY,
    priority=10,
    seq=1,
    request=request(),
    payload_digest="",
    submitted_at=0,
)


@dataclass
class Facts:
    """What explaining reads."""

    data: SessionData
    noted: dict[str, Any] | None = None
    at: int | None = None

    def get(self, session: str) -> SessionData:
        assert session == self.data.id
        return self.data

    def position(self, data: SessionData) -> Position | None:
        return Position(3, 9, "lifo", 5) if data.state is S.READY else None

    def timer(self, data: SessionData) -> int | None:
        assert data is self.data
        return self.at

    def verdict(self, group: str, request: str) -> dict[str, Any] | None:
        assert (group, request) == (self.data.group, self.data.request.id)
        return self.noted


def told(  # noqa: PLR0913 - the facts of one explanation
    data: SessionData = READY,
    *,
    noted: dict[str, Any] | None = None,
    led: bool = True,
    limit: int | None = None,
    rules: tuple[AbstractValidator, ...] = RULES,
    unmet: tuple[Dependency, ...] = (),
    timer: int | None = None,
) -> Explanation:
    def context(data: SessionData) -> ValidatorContext:
        return ValidatorContext(
            data.id, data.request, 0, None, unmet, {GLOBAL: ScopeUse(ScopeLimits(limit), 0)}
        )

    nobody = Refusal("leader", "no leader", ())
    return explain(
        data.id, Facts(data, noted, timer), rules, context, lambda _: [] if led else [nobody]
    )


def by(found: Explanation) -> list[str]:
    return [refusal.by for refusal in found.refusals]


def test_a_session_that_nothing_holds_back_waits_for_its_turn() -> None:
    found = told()

    assert ("it waits for its turn", 3, (), 0, None) == (
        found.says,
        found.position,
        found.refusals,
        found.tries,
        found.last_tried_at,
    )


def test_what_only_the_leader_can_know_comes_from_its_verdict() -> None:
    """X3."""
    found = told(noted=NO_ROOM)

    assert (["agents"], "no agent has cpu=1", 7, 99) == (
        by(found),
        found.says,
        found.tries,
        found.last_tried_at,
    )


def test_a_limit_is_told_in_numbers_for_programs() -> None:
    """X3: used, requested, limit, over by."""
    refusal = told(limit=0).refusals[0]

    assert (Excess("global global sessions", used=0, requested=1, limit=0),) == refusal.excesses
    assert [1] == [number["over"] for number in refusal.as_dict()["numbers"]]


class Broken(AbstractValidator):
    """Divides by zero."""

    name: ClassVar[str] = "broken"

    def validate(self, context: ValidatorContext) -> None:
        context.now_ms // 0


def test_a_broken_rule_is_told_by_its_name_and_the_others_are_asked() -> None:
    refusals = told(limit=0, rules=(Broken(), *RULES)).refusals

    assert ["broken", "concurrency"] == [refusal.by for refusal in refusals]
    assert refusals[0].reason.startswith("this rule is broken: ZeroDivisionError")


PROMISED = {"at": 5_000, "says": "reserved on a7 from then"}


@pytest.mark.parametrize(
    ("session", "limit", "says"),
    [
        (READY.id, None, "no agent has cpu=1; reserved on a7 from then"),
        ("another", None, "no agent has cpu=1"),
        (READY.id, 0, "You cannot run more than 0 concurrent sessions"),
    ],
)
def test_only_the_first_of_its_kind_is_told_when_it_starts(
    session: str, limit: int | None, says: str
) -> None:
    """X6: and only while the rules admit it."""
    found = told(noted=NO_ROOM | {"expected": PROMISED | {"session": session}}, limit=limit)

    expected = 5_000 if "a7" in says else None
    assert (expected, expected) == (found.expected_start, found.as_dict()["expected_start"])
    assert found.says.startswith(says)
    assert ("a7" in says) == ("a7" in found.says)


def test_what_a_rule_says_now_replaces_what_it_said_then() -> None:
    then = FULL | {"by": "concurrency", "reason": "yesterday's"}
    found = told(noted=NO_ROOM | {"failures": [then]}, limit=0)

    assert (["concurrency"], False) == (by(found), "yesterday" in found.says)


@pytest.mark.parametrize("rules", [["concurrency"], ["concurrency", "dependencies"]])
def test_a_refusal_by_rules_that_admit_by_now_is_not_told(rules: list[str]) -> None:
    failures = [FULL | {"by": rule} for rule in rules]

    assert [] == by(told(noted=NO_ROOM | {"failures": failures}))


def test_all_reasons_are_told_and_the_missing_leader_last() -> None:
    found = told(noted=NO_ROOM, limit=0, led=False)

    assert ["concurrency", "agents", "leader"] == by(found)


def test_a_pending_session_has_no_verdict_and_no_position() -> None:
    found = told(
        replace(READY, state=S.PENDING, unmet=1),
        noted=NO_ROOM,
        unmet=(Dependency("p", "", "RUNNING"),),
    )

    assert (["dependencies"], None, 0) == (by(found), found.position, found.tries)


def test_it_is_told_until_when_a_session_may_wait_and_when_it_is_tried_again() -> None:
    """A start time is none of both, and what the timer of one that runs is for, who runs knows."""
    ready, retrying = told(timer=7), told(replace(READY, state=S.RETRYING), timer=7)
    child = told(replace(READY, state=S.PENDING, unmet=1), timer=7)

    assert (7, None) == (ready.waits_until, ready.tried_again_at)
    assert (7, None) == (child.waits_until, child.tried_again_at)
    assert (None, 7) == (retrying.waits_until, retrying.tried_again_at)
    assert (7, 7) == (ready.as_dict()["waits_until"], retrying.as_dict()["tried_again_at"])
    for data in (replace(READY, state=S.PENDING), replace(READY, state=S.RUNNING)):
        found = told(data, timer=7)
        assert (None, None) == (found.waits_until, found.tried_again_at)


def test_a_session_whose_dependencies_are_still_being_loaded_says_so() -> None:
    found = told(replace(READY, state=S.PENDING, unmet=1, unsealed=True))

    assert "its dependencies are still being loaded by the app that submitted it" == found.says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (replace(READY, state=S.SUCCEEDED), "it ended SUCCEEDED"),
        (replace(READY, state=S.CANCELLED, reason="by hand"), "it ended CANCELLED (by hand)"),
        (
            replace(READY, state=S.FAILED, reason="failed", error="Traceback\nValueError: no\n"),
            "it ended FAILED (failed: ValueError: no)",
        ),
        (
            replace(READY, state=S.RETRYING, reason="failed", error="kernel 0 exited with 1"),
            "it failed (failed: kernel 0 exited with 1) and is tried again after its back-off",
        ),
        (
            replace(
                READY, state=S.RUNNING, kernels=(KernelData(0, KernelState.UP, "a1", "b", {}),)
            ),
            "it is RUNNING on a1",
        ),
        (
            replace(
                READY,
                state=S.TERMINATING,
                reason="cancelled",
                kernels=(KernelData(0, KernelState.STOPPING, "a1", "b", {}),),
            ),
            "it is TERMINATING on a1 (cancelled)",
        ),
    ],
)
def test_a_session_that_does_not_wait_is_told_by_its_state(data: SessionData, says: str) -> None:
    assert says == told(data).says


def test_an_explanation_is_plain_data_for_machines() -> None:
    found = told(noted=NO_ROOM).as_dict()

    assert (
        "READY",
        [FULL | {"numbers": []}],
    ) == (found["state"], found["refusals"])
