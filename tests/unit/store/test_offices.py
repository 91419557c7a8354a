"""Offices in Redis: their configuration, its revisions, and the limits of their scopes with them (J2, J12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.domain.api_key import ApiKey, Role
from scheduler.domain.errors import (
    InvalidSetting,
    InvalidSpec,
    OfficeExists,
    OfficeInUse,
    OfficeNotFound,
    OfficeOnRecord,
    OfficeRevisionConflict,
    SchedulerError,
)
from scheduler.domain.office import JobSchedulerConfig, office_scopes
from scheduler.domain.scope import Scope, ScopeLimits
from scheduler.domain.spec import SessionSpec
from tests.unit.store.lives import GROUP, NOBODY, S, World, contents

OFFICE, REVIEWER, BUILDER = Scope("office", "o"), Scope("role", "o/reviewer"), Scope("role", "o/b")


def limits(world: World) -> dict[Scope, int | None]:
    """Sessions that the office's scopes allow."""
    found = world.scopes.read([OFFICE, REVIEWER, BUILDER])
    return {scope: use.limits.max_sessions for scope, use in found.items()}


def told(world: World) -> list[tuple[str, Mapping[str, str]]]:
    """Events of offices and scopes, without the time."""
    return [
        (event.name, {name: text for name, text in event.fields.items() if name != "at"})
        for event in world.events.since("0-0")
        if event.name.startswith(("office.", "scope."))
    ]


def test_an_office_has_the_defaults_and_its_scopes_the_limits(world: World) -> None:
    """J2: three jobs at a time."""
    office = world.offices.create("o", {"max_concurrent_by_role": {"reviewer": 1}})

    assert (office.revision, office.config.max_concurrent_jobs) == (1, 3)
    assert world.offices.read("o") == office
    assert world.offices.names() == ["o"]
    assert limits(world) == {OFFICE: 3, REVIEWER: 1, BUILDER: None}
    assert told(world) == [
        ("scope.changed", {"scope": "office o", "max_sessions": "3"}),
        ("scope.changed", {"scope": "role o/reviewer", "max_sessions": "1"}),
        ("office.changed", {"office": "o", "revision": "1"}),
    ]


def test_a_role_that_has_no_limit_any_more_is_lifted(world: World) -> None:
    world.offices.create("o", {"max_concurrent_by_role": {"reviewer": 1, "b": 2}})
    world.scopes.limit(REVIEWER, ScopeLimits(max_slots={"cpu": 1000}), only=["max_slots"])

    office = world.offices.change("o", {"max_concurrent_by_role": {"b": 5}, "roles": ["reviewer"]})

    assert office.revision == 2
    assert limits(world) == {OFFICE: 3, REVIEWER: None, BUILDER: 5}
    # What operators set beside it stays.
    assert world.scopes.read([REVIEWER])[REVIEWER].limits.max_slots == {"cpu": 1000}


def test_leaders_are_told_of_a_change(world: World) -> None:
    world.offices.create("o", {})
    entries: Any = world.client.xrevrange(world.keys.inbox(GROUP), count=1)

    assert entries[0][1] == {"kind": "office", "what": "o"}


def test_a_change_is_on_top_of_what_was_looked_at(world: World) -> None:
    world.offices.create("o", {})
    world.offices.change("o", {"max_retries": 5}, expected=1)

    with pytest.raises(OfficeRevisionConflict, match="at revision 2, not 1"):
        world.offices.change("o", {"max_retries": 7}, expected=1)
    assert world.offices.read("o").config.max_retries == 5


def test_changes_of_two_who_looked_at_no_revision_both_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its write somebody else was faster: it looks again."""
    world.offices.create("o", {})
    read = world.offices.read

    def read_and_be_overtaken(name: str) -> Any:
        found = read(name)
        monkeypatch.setattr(world.offices, "read", read)
        world.offices.change("o", {"max_concurrent_jobs": 9})
        return found

    monkeypatch.setattr(world.offices, "read", read_and_be_overtaken)
    office = world.offices.change("o", {"max_retries": 7})

    assert (office.config.max_concurrent_jobs, office.config.max_retries) == (9, 7)
    assert office.revision == 3


def test_an_office_is_deleted_with_its_limits_and_never_repeats_a_revision(world: World) -> None:
    world.offices.create("o", {"max_concurrent_by_role": {"reviewer": 1}})
    world.offices.delete("o")

    assert (world.offices.names(), limits(world)) == (
        [],
        {OFFICE: None, REVIEWER: None, BUILDER: None},
    )
    assert OFFICE not in world.scopes.known()
    with pytest.raises(OfficeNotFound):
        world.offices.read("o")
    assert world.offices.create("o", {}).revision == 2


def test_limits_that_operators_set_go_with_the_office(world: World) -> None:
    """Else the next office of the name would have fewer slots than anybody gave it, and nobody knew why."""
    for name in ("o", "o2", "other"):
        world.offices.create(name, {"max_concurrent_by_role": {"b": 1}})
        world.scopes.limit(
            Scope("office", name), ScopeLimits(max_slots={"cpu": 1}), only=["max_slots"]
        )
    world.scopes.limit(Scope("role", "o/given-up"), ScopeLimits(max_pending_sessions=1))
    world.scopes.limit(Scope("user", "o"), ScopeLimits(max_sessions=7))
    kept = [scope for scope in world.scopes.known() if not scope.name.startswith(("o/", "o2/"))]
    seen = len(told(world))

    world.offices.delete("o")

    assert [scope for scope in kept if scope != OFFICE] == [
        scope for scope in world.scopes.known() if not scope.name.startswith("o2/")
    ]
    assert {"max_slots": "", "max_sessions": "", "scope": "office o"} in [
        fields for _, fields in told(world)[seen:]
    ]
    assert {"office o", "role o/b", "role o/given-up"} == {
        fields["scope"] for name, fields in told(world)[seen:] if name == "scope.changed"
    }
    world.offices.create("o", {})
    fresh = world.scopes.read([OFFICE])[OFFICE].limits
    assert ScopeLimits(max_sessions=3) == fresh
    assert {"cpu": 1} == world.scopes.read([Scope("office", "o2")])[
        Scope("office", "o2")
    ].limits.max_slots


@pytest.mark.parametrize("state", [S.PENDING, S.READY, S.RUNNING, S.RETRYING])
def test_an_office_with_jobs_that_have_not_ended_stays(world: World, state: S) -> None:
    world.offices.create("o", {})
    world.into(state, scopes={"office": "o"})

    with pytest.raises(OfficeInUse, match=r"\d of its jobs wait and \d are placed"):
        world.offices.delete("o")


def test_an_office_whose_ended_jobs_are_on_record_stays(world: World) -> None:
    world.offices.create("o", {})
    world.into(S.SUCCEEDED, scopes={"office": "o"})
    before = contents(world.client)

    with pytest.raises(OfficeOnRecord, match=r"has 1 ended jobs on record; .* `--forget`"):
        world.offices.delete("o")
    assert contents(world.client) == before


def test_only_what_ended_and_nobody_waits_for_is_forgotten_of_an_office(world: World) -> None:
    world.offices.create("o", {})
    world.offices.create("p", {})
    ended, awaited = (world.into(S.FAILED, scopes={"office": "o"}) for _ in range(2))
    world.submit(depends_on={awaited: "hold"})
    runs = world.into(S.RUNNING, scopes={"office": "o"})
    foreign = world.into(S.FAILED, scopes={"office": "p"})

    assert world.offices.forget_jobs("o", [ended, awaited, runs, foreign, NOBODY]) == [ended]
    assert [data.id for data in world.sessions.many([awaited, runs, foreign])] == [
        awaited,
        runs,
        foreign,
    ]


def test_keys_of_an_office_go_with_it_and_those_of_others_stay(world: World) -> None:
    world.offices.create("o", {})
    world.offices.create("p", {})
    for key, office in (("k1", "o"), ("k2", "o"), ("k3", "p"), ("k4", "")):
        world.api_keys.create(ApiKey(key, Role.VIEWER, office), key)
    world.api_keys.revoke("k2")

    assert world.offices.delete("o") == 1
    revoked = {key.id for key in world.api_keys.all() if key.revoked_at is not None}
    assert revoked == {"k1", "k2"}
    with pytest.raises(OfficeNotFound):
        world.api_keys.create(ApiKey("k5", Role.VIEWER, "o"), "d")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda o: o.create("a/b", {}), InvalidSetting, "'a/b' is no name"),
        (lambda o: o.create("o", {"max_concurrent_jobs": -1}), InvalidSetting, "from 0"),
        (lambda o: o.create("o", {"max_jobs": 1}), InvalidSetting, "no field 'max_jobs'"),
        (
            lambda o: o.create("o", {"roles": [f"r{n}" for n in range(101)]}),
            InvalidSetting,
            "at most 100, these are 101",
        ),
        (lambda o: o.create("known", {}), OfficeExists, "exists already"),
        (lambda o: o.change("o", {}), OfficeNotFound, "'o' does not exist"),
        (lambda o: o.change("known", {"timeout_ms": "30m"}), InvalidSetting, "a whole number"),
        (lambda o: o.change("known", {}, expected=9), OfficeRevisionConflict, "at revision 1"),
        (lambda o: o.delete("o"), OfficeNotFound, "'o' does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_written(
    world: World, call: Any, error: type[SchedulerError], says: str
) -> None:
    """J12: one sentence, nothing written."""
    world.offices.create("known", {})
    before = contents(world.client)

    with pytest.raises(error, match=says):
        call(world.offices)
    assert contents(world.client) == before


@pytest.mark.parametrize("many", [1, 201])
@pytest.mark.parametrize(
    ("scopes", "error", "says"),
    [
        ({"office": "nowhere"}, OfficeNotFound, "'nowhere' does not exist"),
        (office_scopes("o", "cook"), InvalidSpec, "no role 'cook'; its roles are: reviewer"),
    ],
)
def test_a_job_needs_its_office_and_role(
    world: World, many: int, scopes: dict[str, str], error: type[SchedulerError], says: str
) -> None:
    """J2: in one script, and where many are looked up before the first."""
    world.offices.create("o", {"roles": ["reviewer"]})
    fine = SessionSpec(callable="jobs:noop", scopes=office_scopes("o", "reviewer"))
    before = contents(world.client)

    with pytest.raises(error, match=says):
        world.sessions.submit(
            [fine] * (many - 1) + [SessionSpec(callable="jobs:noop", scopes=scopes)]
        )
    assert contents(world.client) == before
    assert world.sessions.submit([fine] * many)


def test_a_repeat_of_a_submit_finds_its_job_though_the_role_is_gone(world: World) -> None:
    world.offices.create("o", {"roles": ["a"]})
    asked = {"scopes": office_scopes("o", "a"), "idempotency_key": "k"}
    job = world.submit(**asked)
    world.offices.change("o", {"roles": []})

    assert world.submit(**asked) == job


def test_a_job_of_a_role_that_was_given_up_can_run_again(world: World) -> None:
    world.offices.create("o", {"roles": ["a"]})
    job = world.into(S.FAILED, scopes=office_scopes("o", "a"))
    world.offices.change("o", {"roles": []})

    assert world.sessions.retry(job) == [job]


def test_many_offices_are_read_at_once(world: World) -> None:
    world.offices.create("a", {})
    world.offices.create("b", {"max_retries": 0})

    found = world.offices.many(["a", "b", "c"])
    assert {name: office.config for name, office in found.items()} == {
        "a": JobSchedulerConfig(),
        "b": JobSchedulerConfig(max_retries=0),
    }
