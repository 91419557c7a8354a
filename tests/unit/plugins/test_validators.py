"""The rules, one by one: exactly when they refuse, with which message, and what would cure it."""

from __future__ import annotations

import pytest

from scheduler.cycle.validators.concurrency import ConcurrencyLimitReached, ConcurrencyValidator
from scheduler.cycle.validators.dependencies import DependenciesNotMet, DependenciesValidator
from scheduler.cycle.validators.reserved_batch import (
    ReservedBatchNotStarted,
    ReservedBatchSessionValidator,
)
from scheduler.domain.scope import Scope, ScopeLimits, ScopeUse
from scheduler.plugins.interfaces import Dependency, ValidatorContext
from tests.unit.cycle.made import request

USER = Scope("user", "u")


def context(
    *,
    now: int = 0,
    not_before: int | None = None,
    unmet: tuple[Dependency, ...] = (),
    limit: int | None = None,
    used: int = 0,
) -> ValidatorContext:
    return ValidatorContext(
        "s", request(), now, not_before, unmet, {USER: ScopeUse(ScopeLimits(limit), used)}
    )


@pytest.mark.parametrize(("limit", "used"), [(None, 10**6), (1, 0), (3, 2)])
def test_a_scope_with_room_admits(limit: int | None, used: int) -> None:
    ConcurrencyValidator().validate(context(limit=limit, used=used))


@pytest.mark.parametrize(("limit", "used"), [(0, 0), (3, 3), (3, 9)])
def test_a_scope_without_room_refuses(limit: int, used: int) -> None:
    """K6; a limit of 1 must schedule one, and a limit of 0 none."""
    with pytest.raises(ConcurrencyLimitReached) as refusal:
        ConcurrencyValidator().validate(context(limit=limit, used=used))

    assert (
        f"You cannot run more than {limit} concurrent sessions (user u: {used} of {limit} in use)",
        {"scope:user:u"},
    ) == (str(refusal.value), {cure.event for cure in refusal.value.cures})


def test_a_session_without_unmet_dependencies_is_admitted() -> None:
    DependenciesValidator().validate(context())


def test_unmet_dependencies_are_named() -> None:
    """K6: the message is the rule's own."""
    unmet = (
        Dependency("i1", "load", "RUNNING"),
        Dependency("i2", "", "PENDING"),
        Dependency("and 3 more", "", ""),
    )

    with pytest.raises(DependenciesNotMet) as refusal:
        DependenciesValidator().validate(context(unmet=unmet))

    assert "Waiting dependency sessions to finish as success. (load (i1), i2, and 3 more)" == str(
        refusal.value
    )
    assert ["session:i1", "session:i2"] == [cure.event for cure in refusal.value.cures]


@pytest.mark.parametrize(("now", "not_before"), [(0, None), (5_000, 5_000), (5_001, 5_000)])
def test_a_session_whose_start_time_came_is_admitted(now: int, not_before: int | None) -> None:
    ReservedBatchSessionValidator().validate(context(now=now, not_before=not_before))


@pytest.mark.parametrize(("now", "seconds"), [(4_999, 1), (3_999, 2), (0, 5)])
def test_a_session_before_its_start_time_is_told_how_long(now: int, seconds: int) -> None:
    with pytest.raises(ReservedBatchNotStarted, match=r"^Before start time$") as refusal:
        ReservedBatchSessionValidator().validate(context(now=now, not_before=5_000))

    assert [f"its start time comes, in {seconds} s"] == [cure.says for cure in refusal.value.cures]
