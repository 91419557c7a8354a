"""The rules about quotas: exactly when they refuse, with which message, and what would cure it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.cycle.validators.concurrency import ConcurrencyLimitReached, ConcurrencyValidator
from scheduler.cycle.validators.dependencies import DependenciesValidator
from scheduler.cycle.validators.domain_resource_limit import (
    DomainResourceLimitExceeded,
    DomainResourceLimitValidator,
)
from scheduler.cycle.validators.group_resource_limit import (
    GroupResourceLimitExceeded,
    GroupResourceLimitValidator,
)
from scheduler.cycle.validators.keypair_resource_limit import (
    KeypairResourceLimitExceeded,
    KeypairResourceLimitValidator,
)
from scheduler.cycle.validators.pending_session_count_limit import (
    PendingSessionCountLimitReached,
    PendingSessionCountLimitValidator,
)
from scheduler.cycle.validators.pending_session_resource_limit import (
    PendingSessionResourceLimitExceeded,
    PendingSessionResourceLimitValidator,
)
from scheduler.cycle.validators.quotas import ResourceLimitExceeded, ResourceLimitValidator
from scheduler.cycle.validators.reserved_batch import ReservedBatchSessionValidator
from scheduler.cycle.validators.scope_resource_limit import (
    ScopeResourceLimitExceeded,
    ScopeResourceLimitValidator,
)
from scheduler.cycle.validators.user_resource_limit import (
    UserResourceLimitExceeded,
    UserResourceLimitValidator,
)
from scheduler.domain.request import Request, request_of
from scheduler.domain.scope import GLOBAL, OtherSlots, Scope, ScopeLimits, ScopeUse
from scheduler.domain.spec import SessionSpec
from scheduler.plugins.asking import refusals
from scheduler.plugins.interfaces import Dependency, SchedulerValidationError, ValidatorContext
from tests.unit.cycle.made import request

USER, OTHER = Scope("user", "u"), Scope("pool", "p")
ASKED = request("4", mem="10GiB", cuda__device=1)
FULL = ScopeUse(ScopeLimits(max_slots={"cpu": 6000, "mem": 8192}), 1, {"cpu": 4000, "mem": 1024})

OF_KIND: Mapping[str, tuple[type[ResourceLimitValidator], type[ResourceLimitExceeded], str]] = {
    "keypair": (KeypairResourceLimitValidator, KeypairResourceLimitExceeded, "Your keypair"),
    "user": (UserResourceLimitValidator, UserResourceLimitExceeded, "Your main-keypair"),
    "group": (GroupResourceLimitValidator, GroupResourceLimitExceeded, "Your group"),
    "domain": (DomainResourceLimitValidator, DomainResourceLimitExceeded, "Your domain"),
    "global": (ScopeResourceLimitValidator, ScopeResourceLimitExceeded, "The global"),
    "office": (ScopeResourceLimitValidator, ScopeResourceLimitExceeded, "The office"),
    "role": (ScopeResourceLimitValidator, ScopeResourceLimitExceeded, "The role"),
    "pool": (ScopeResourceLimitValidator, ScopeResourceLimitExceeded, "The pool"),
}
each_kind = pytest.mark.parametrize("kind", OF_KIND)


def context(
    scopes: Mapping[Scope, ScopeUse], asked: Request = ASKED, *, submitting: bool = False
) -> ValidatorContext:
    return ValidatorContext("s", asked, 0, scopes=scopes, submitting=submitting)


@each_kind
def test_every_slot_that_exceeds_is_named_with_its_numbers(kind: str) -> None:
    """K6."""
    rule, error, whose = OF_KIND[kind]
    scope = Scope(kind, "n")

    with pytest.raises(error) as refusal:
        rule().validate(context({GLOBAL: ScopeUse(), scope: FULL}))

    assert (
        f"{whose} resource quota is exceeded. ({kind} n: cpu used 4, requested 4, limit 6, over by 2;"
        " mem used 1GiB, requested 10GiB, limit 8GiB, over by 3GiB)" == str(refusal.value)
    )
    assert issubclass(error, SchedulerValidationError)
    # Of memory it asks for more than may be held at all: who ends is no cure.
    assert [
        (
            f"scope:{kind}:n",
            f"its limit is raised: `scheduler scope set {kind} n --max-slots ...`",
        ),
    ] == [(cure.event, cure.says) for cure in refusal.value.cures]


@each_kind
def test_where_the_ends_of_others_suffice_they_are_a_cure(kind: str) -> None:
    rule, error, _ = OF_KIND[kind]
    limits = ScopeLimits(max_slots={"cpu": 4000})

    with pytest.raises(error) as refusal:
        rule().validate(context({Scope(kind, "n"): ScopeUse(limits, slots={"cpu": 1})}))

    cures = [cure.says for cure in refusal.value.cures]
    assert [
        f"sessions of {kind} n end",
        f"its limit is raised: `scheduler scope set {kind} n --max-slots ...`",
    ] == cures


@each_kind
def test_one_slot_over_is_enough_and_exactly_full_is_not_over(kind: str) -> None:
    """{cpu 100, mem 1} must not let {cpu 4, mem 10} pass."""
    rule, error, _ = OF_KIND[kind]
    some = ScopeUse(ScopeLimits(max_slots={"cpu": 100_000, "mem": 1024}))
    fits = ScopeUse(ScopeLimits(max_slots={"cpu": 4000, "mem": 10_240}))

    rule().validate(context({Scope(kind, "n"): fits}))
    with pytest.raises(error, match="mem used 0MiB, requested 10GiB, limit 1GiB, over by 9GiB"):
        rule().validate(context({Scope(kind, "n"): some}))


@each_kind
def test_slots_without_a_limit_are_unlimited_or_zero(kind: str) -> None:
    rule, error, _ = OF_KIND[kind]
    limits = ScopeLimits(max_slots={"cpu": 4000, "mem": 10_240})
    zero = replace(limits, unspecified_slots=OtherSlots.ZERO)

    rule().validate(context({Scope(kind, "n"): ScopeUse(limits)}))
    rule().validate(
        context({Scope(kind, "n"): ScopeUse(ScopeLimits(unspecified_slots=OtherSlots.ZERO))})
    )
    with pytest.raises(error, match=r"\(.* n: cuda used 0, requested 1, limit 0, over by 1\)"):
        rule().validate(context({Scope(kind, "n"): ScopeUse(zero)}))


@each_kind
def test_a_rule_looks_at_its_own_kind_only(kind: str) -> None:
    others = {Scope(k, "n"): FULL for k in OF_KIND if OF_KIND[k][0] is not OF_KIND[kind][0]}

    OF_KIND[kind][0]().validate(context(others))


def test_all_scopes_of_a_rule_are_named() -> None:
    with pytest.raises(ScopeResourceLimitExceeded) as refusal:
        ScopeResourceLimitValidator().validate(
            context({GLOBAL: ScopeUse(), Scope("role", "r"): FULL, OTHER: FULL}, request("4"))
        )

    assert (
        "The role resource quota is exceeded. (role r: cpu used 4, requested 4, limit 6, over by 2;"
        " pool p: cpu used 4, requested 4, limit 6, over by 2)" == str(refusal.value)
    )
    assert {"scope:role:r", "scope:pool:p"} == {cure.event for cure in refusal.value.cures}


def test_a_user_has_the_limits_of_the_main_keypair() -> None:
    """Used is what the user holds, the limit is the keypair's."""
    use = ScopeUse(
        ScopeLimits(max_slots={"cpu": 1}, main_keypair="k"),
        slots={"cpu": 2000},
        main=ScopeLimits(max_slots={"cpu": 5000}),
    )

    UserResourceLimitValidator().validate(context({USER: use}, request("3")))
    with pytest.raises(UserResourceLimitExceeded, match="used 2, requested 4, limit 5") as refusal:
        UserResourceLimitValidator().validate(context({USER: use}, request("4")))

    assert [("scope:user:u", "user u"), ("scope:keypair:k", "set keypair k --max-slots")] == [
        (cure.event, said)
        for cure, said in zip(
            refusal.value.cures, ("user u", "set keypair k --max-slots"), strict=True
        )
        if said in cure.says
    ]


def test_a_main_keypair_without_limits_is_no_policy_and_admits_nobody() -> None:
    """K6: "no policy: fails"."""
    use = ScopeUse(ScopeLimits(main_keypair="k"))

    with pytest.raises(UserResourceLimitExceeded) as refusal:
        UserResourceLimitValidator().validate(context({USER: use}))

    assert (
        "Your main-keypair resource quota is exceeded."
        " (user u: its main keypair k has no limits, and so no policy)" == str(refusal.value)
    )


def test_no_more_sessions_may_wait_than_the_limit_says() -> None:
    use = ScopeUse(ScopeLimits(max_pending_sessions=3), pending=3)
    full = {USER: use, GLOBAL: ScopeUse(), OTHER: replace(use, pending=9)}

    with pytest.raises(PendingSessionCountLimitReached) as refusal:
        PendingSessionCountLimitValidator().validate(context(full, submitting=True))

    assert (
        "You cannot create more than 3 pending session(s)."
        " (user u: 3 of 3 pending; pool p: 9 of 3 pending)" == str(refusal.value)
    )
    assert {"scope:user:u", "scope:pool:p"} == {cure.event for cure in refusal.value.cures}
    PendingSessionCountLimitValidator().validate(
        context({USER: replace(use, pending=2)}, submitting=True)
    )


def test_waiting_sessions_may_ask_for_no_more_than_the_limit_says() -> None:
    use = ScopeUse(
        ScopeLimits(max_pending_slots={"cpu": 8000, "cuda": 1500}),
        pending_slots={"cpu": 3000, "cuda": 1000},
    )

    with pytest.raises(PendingSessionResourceLimitExceeded) as refusal:
        PendingSessionResourceLimitValidator().validate(context({USER: use}, submitting=True))

    assert (
        "Your pending session quota is exceeded."
        " (user u: cuda pending 1, requested 1, limit 1.5, over by 0.5)" == str(refusal.value)
    )
    PendingSessionResourceLimitValidator().validate(
        context({USER: use}, request("5"), submitting=True)
    )


@pytest.mark.parametrize(
    "rule", [PendingSessionCountLimitValidator(), PendingSessionResourceLimitValidator()]
)
def test_what_waits_already_is_not_held_by_limits_of_waiting(
    rule: PendingSessionCountLimitValidator | PendingSessionResourceLimitValidator,
) -> None:
    """It would count itself: with a limit of 1 nothing would ever be scheduled."""
    limits = ScopeLimits(max_pending_sessions=1, max_pending_slots={"cpu": 4000})

    rule.validate(context({USER: ScopeUse(limits, pending=1, pending_slots={"cpu": 4000})}))


ALL = (
    ConcurrencyValidator(),
    DependenciesValidator(),
    *(rule() for rule in dict.fromkeys(rule for rule, _, _ in OF_KIND.values())),
    PendingSessionCountLimitValidator(),
    PendingSessionResourceLimitValidator(),
    ReservedBatchSessionValidator(),
)
NOTHING = ScopeUse(ScopeLimits(0, {"cpu": 0}, OtherSlots.ZERO, 0, {"cpu": 0}))


def everything_wrong(*, private: bool) -> ValidatorContext:
    spec = SessionSpec(
        callable="a:b",
        keypair="k",
        scopes={"user": "u", "group": "g", "domain": "d"},
        private=private,
    )
    asked = request_of(spec)
    return ValidatorContext(
        session="s",
        request=asked,
        now_ms=0,
        not_before=1,
        unmet=(Dependency("p", "", "RUNNING"),),
        scopes=dict.fromkeys(asked.scopes, NOTHING),
        submitting=True,
    )


def test_all_rules_run_and_all_refusals_are_kept() -> None:
    """K6."""
    assert [rule.name for rule in ALL] == [
        failure.by for failure in refusals(ALL, everything_wrong(private=False))
    ]


def test_private_sessions_are_asked_three_rules_only() -> None:
    """K7."""
    failures = refusals(ALL, everything_wrong(private=True))

    assert ["concurrency", "dependencies", "reserved-batch"] == [f.by for f in failures]
    assert "You cannot run more than 0 concurrent sessions (private k: 0 of 0 in use)" == (
        failures[0].reason
    )


def test_every_rule_is_installed_under_its_name() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    declared = tomllib.loads(text)["project"]["entry-points"]["scheduler.validators"]

    assert declared == {rule.name: f"{type(rule).__module__}:{type(rule).__name__}" for rule in ALL}


def test_where_none_may_run_the_end_of_one_is_no_cure() -> None:
    for most, holds, cures in ((0, 0, 1), (1, 1, 2)):
        with pytest.raises(ConcurrencyLimitReached) as refusal:
            ConcurrencyValidator().validate(
                context({Scope("role", "o/r"): ScopeUse(ScopeLimits(most), holds)})
            )
        assert cures == len(refusal.value.cures)
        assert "--role-limit r=N" in refusal.value.cures[-1].says


def test_a_main_keypair_under_which_it_never_fits_may_be_another() -> None:
    """Who ends is no cure; and the session is looked at again when the user names another keypair."""
    limits = ScopeLimits(main_keypair="k")
    for main in (None, ScopeLimits(max_slots={"cpu": 1})):
        with pytest.raises(UserResourceLimitExceeded) as refusal:
            UserResourceLimitValidator().validate(
                context({Scope("user", "u"): ScopeUse(limits, main=main)})
            )
        assert [
            (
                "scope:user:u",
                "another keypair is its main one: `scheduler scope set user u --main-keypair NAME`",
            ),
            (
                "scope:keypair:k",
                "its limit is raised: `scheduler scope set keypair k --max-slots ...`",
            ),
        ] == [(cure.event, cure.says) for cure in refusal.value.cures]
