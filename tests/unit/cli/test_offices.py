"""Offices on the command line: created, changed, shown, deleted; their jobs submitted and counted (J2-J6)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.office import office_scopes
from scheduler.domain.retry import Growth, RetryPolicy
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import NOBODY, S, World, contents

EVERYTHING = (
    *("--max-concurrent-jobs", "5", "--role-limit", "reviewer=1", "--max-retries", "4"),
    *("--backoff", "linear", "--backoff-initial", "2s", "--backoff-maximum", "1m"),
    *("--backoff-jitter", "0", "--backoff-factor", "3"),
    *("--timeout", "45m", "--role-timeout", "builder=2h", "--role", "writer"),
)


def test_an_office_is_created_with_every_field_and_shown(world: World, run: Run) -> None:
    assert run("office", "create", "web", *EVERYTHING).out == "office web created\n"

    config = world.offices.read("web").config
    assert (5, {"reviewer": 1}, 4) == (
        config.max_concurrent_jobs,
        config.max_concurrent_by_role,
        config.max_retries,
    )
    assert config.backoff == RetryPolicy(
        kind=Growth.LINEAR, initial_ms=2_000, factor=3.0, maximum_ms=60_000, jitter=0.0
    )
    assert (config.timeout_ms, config.timeout_ms_by_role) == (2_700_000, {"builder": 7_200_000})
    assert config.known_roles == ("builder", "reviewer", "writer")
    shown = run("office", "show", "web").out
    assert "linear 2 s to 60 s, jitter 0" in shown
    assert ["builder", "-", "2h"] in run("office", "show", "web").rows
    assert run("office", "show", "web", "-o", "json").json["revision"] == 1
    assert ["web", "1", "5", "builder", "reviewer", "writer", "4", "45m"] in run(
        "office", "list"
    ).rows
    assert run("office", "list", "-o", "json").json[0]["office"] == "web"


def test_a_role_is_added_and_taken_away_by_its_name(world: World, run: Run) -> None:
    """What is said beside other changes takes no role away without a word."""
    run("office", "create", "web", *EVERYTHING)

    run("office", "set", "web", "--role", "cook")
    more = world.offices.read("web").config
    words = ("--no-role", "builder", "--no-role", "writer", "--max-retries", "1")
    assert "office web changed, revision 3\n" == run("office", "set", "web", *words).out
    less = world.offices.read("web").config
    unknown = run("office", "set", "web", "--no-role", "nobody")

    assert ("builder", "cook", "reviewer", "writer") == more.known_roles
    assert (("cook", "reviewer"), {}, 1) == (
        less.known_roles,
        dict(less.timeout_ms_by_role),
        less.max_retries,
    )
    assert (2, "office web has no role 'nobody'; its roles are: cook, reviewer") == (
        unknown.code,
        unknown.err.partition(": ")[2].strip().rstrip("."),
    )


def test_only_what_is_said_changes(world: World, run: Run) -> None:
    run("office", "create", "web", *EVERYTHING)
    words = (
        "--role-limit",
        "builder=2",
        "--role-timeout",
        "builder=none",
        "--backoff-initial",
        "1s",
    )

    assert run("office", "set", "web", *words).out == "office web changed, revision 2\n"
    assert run("office", "set", "web", *words).out == "office web unchanged, revision 2\n"
    config = world.offices.read("web").config
    assert config.max_concurrent_by_role == {"reviewer": 1, "builder": 2}
    assert config.timeout_ms_by_role == {}
    assert (config.backoff.kind, config.backoff.initial_ms) == (Growth.LINEAR, 1_000)

    late = run("office", "set", "web", "--max-retries", "9", "--revision", "1")
    assert (4, True) == (late.code, "is at revision 2, not 1" in late.err)
    assert world.offices.read("web").config.max_retries == 4


def test_an_office_is_deleted_once_its_jobs_have_ended(world: World, run: Run) -> None:
    world.offices.create("web", {})
    job = world.submit(scopes=office_scopes("web"))
    assert "1 of its jobs wait and 0 are placed" in run("office", "delete", "web").err

    world.sessions.cancel(job)
    refused = run("office", "delete", "web")
    assert (refused.code, "has 1 ended jobs on record" in refused.err) == (4, True)
    run("key", "create", "--role", "viewer", "--office", "web")
    deleted = run("office", "delete", "web", "--forget").out
    assert deleted == "office web deleted, API keys revoked: 1\n"
    assert "There are no offices" in run("office", "list").err


def test_a_job_is_submitted_and_says_what_it_has_from_its_office(world: World, run: Run) -> None:
    run("office", "create", "web", *EVERYTHING)
    words = ("--role", "builder", "--name", "n", "--retries", "0", "--idempotency-key", "k")
    job = run("office", "submit", "web", *words, "--", "true").out.strip()

    data = world.get(job)
    assert (data.office, data.role, data.idempotency_key) == ("web", "builder", "web/k")
    assert run("office", "submit", "web", *words, "--", "true").out.strip() == job
    shown = run("session", "show", job).out
    assert "2h (office web)" in shown
    assert "linear 2 s to 60 s (office web)" in shown
    document = run("session", "show", job, "-o", "json").json["request"]
    assert (document["inherits"], document["retries"]) == (["backoff", "timeout"], 0)


def test_a_session_that_is_nobodys_takes_a_back_off_of_its_own(world: World, run: Run) -> None:
    words = ("--retries", "2", "--backoff", "constant", "--backoff-initial", "3s")
    job = run("session", "submit", *words, "--", "true").out.strip()

    policy = world.get(job).request.backoff
    assert policy == RetryPolicy(kind=Growth.CONSTANT, initial_ms=3_000)
    assert "constant 3 s" in run("session", "show", job).out


def test_the_queue_of_an_office_is_counted(world: World, run: Run) -> None:
    world.offices.create("web", {"max_concurrent_jobs": 2, "max_concurrent_by_role": {"a": 1}})
    world.offices.create("shop", {"roles": ["a"]})
    world.into(S.RUNNING, scopes=office_scopes("web", "a"))
    for state in (S.READY, S.PENDING, S.RETRYING, S.SUCCEEDED, S.FAILED, S.CANCELLED, S.TIMED_OUT):
        world.into(state, scopes=office_scopes("web"))
    world.submit(scopes=office_scopes("shop", "a"))

    found = run("office", "stats", "web", "-o", "json").json
    assert found["oldest_waiting_ms"] >= 0
    del found["oldest_waiting_ms"]
    assert found == {
        "office": "web",
        "limit": 2,
        "running": 1,
        "available_slots": 1,
        "waiting": 3,
        **dict.fromkeys(("ready", "pending", "retrying"), 1),
        **dict.fromkeys(("succeeded", "failed", "timed_out", "cancelled"), 1),
        "roles": {"a": {"running": 1, "waiting": 0, "limit": 1}},
    }
    shown = run("office", "stats", "web")
    assert "1 of 2, 1 free" in shown.out
    assert ["a", "1", "1", "0"] in shown.rows
    assert run("office", "stats", "shop", "-o", "json").json["available_slots"] == 3


def test_a_job_is_handed_to_its_leader_and_a_failure_told_again(world: World, run: Run) -> None:
    """J2, J9."""
    world.offices.create("web", {"max_concurrent_jobs": 1})
    waits = world.into(S.RETRYING, scopes=office_scopes("web"))
    assert run("office", "execute", "web", waits).out == "handed to its leader\n"
    failed = world.into(S.FAILED, scopes=office_scopes("web"))
    assert run("office", "notify", "web", failed).out == "told again: FAILED\n"

    told = [
        e.fields["verb"]
        for e in world.events.since("0-0", limit=9999)
        if e.name == "session.failed"
    ]
    assert told == ["end", "notify"]
    ready = world.submit(scopes=office_scopes("web"))
    world.offices.change("web", {"max_concurrent_jobs": 0})
    assert "it waits for a slot" in run("office", "execute", "web", ready).out
    refused = run("office", "execute", "web", failed)
    assert (4, True) == (
        refused.code,
        "is FAILED; execute works only in READY, RETRYING" in refused.err,
    )
    refused = run("office", "notify", "web", ready)
    assert (4, True) == (refused.code, "notify works only in FAILED, TIMED_OUT" in refused.err)


def test_limits_of_an_office_are_set_on_the_office(world: World, run: Run) -> None:
    """One truth: a limit set beside the configuration would be gone with its next change."""
    world.offices.create("web", {"roles": ["a"]})
    said = run("scope", "set", "office", "web", "--max-sessions", "9")
    assert (2, True) == (
        said.code,
        "`scheduler office set web --max-concurrent-jobs N`" in said.err,
    )
    said = run("scope", "set", "role", "web/a", "--max-sessions", "9")
    assert (2, True) == (said.code, "`scheduler office set web --role-limit a=N`" in said.err)
    assert run("scope", "set", "office", "web", "--max-pending", "9").code == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("create", "a/b"), 2, "'a/b' is no name"),
        (("create", "known"), 4, "exists already; `scheduler office set known` changes it"),
        (("create", "o", "--max-concurrent-jobs", "-1"), 2, "a whole number from 0"),
        (("create", "o", "--max-concurrent-jobs", "x"), 2, "not a valid integer"),
        (("create", "o", "--role-limit", "a"), 2, "not of the form NAME=VALUE"),
        (("create", "o", "--role-limit", "a=b"), 2, "not of the form ROLE=N"),
        (("create", "o", "--role-limit", "a b=1"), 2, "role 'a b' is no name"),
        (("create", "o", "--role-timeout", "a=soon"), 2, "must be a duration"),
        (("create", "o", "--backoff", "wild"), 2, "'wild' is none; there are exponential"),
        (
            ("create", "o", "--backoff-jitter", "2"),
            2,
            "backoff.jitter: it must be a number from 0 to 1",
        ),
        (("create", "o", "--max-retries", "1001"), 2, "from 0 to 1000"),
        (("set", "nowhere", "--max-retries", "1"), 3, "`scheduler office create nowhere` makes it"),
        (("show", "nowhere"), 3, "'nowhere' does not exist"),
        (("stats", "nowhere"), 3, "'nowhere' does not exist"),
        (("delete", "nowhere"), 3, "'nowhere' does not exist"),
        (("submit", "nowhere", "--", "true"), 3, "'nowhere' does not exist"),
        (
            ("submit", "known", "--role", "cook", "--", "true"),
            2,
            "no role 'cook'; its roles are: none",
        ),
        (("submit", "known", "--priority", "101", "--", "true"), 2, "between 0 and 100"),
        (("submit", "known", "--scope", "office=other", "--", "true"), 2, "job of office 'other'"),
        (("execute", "known", NOBODY), 3, "is not known here"),
        (("notify", "known", "what"), 3, "is not known here"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    world: World, run: Run, words: tuple[str, ...], code: int, says: str
) -> None:
    """J12, K20."""
    world.offices.create("known", {})
    before: dict[str, Any] = contents(world.client)

    said = run("office", *words)

    assert (code, True) == (said.code, says in said.err), said.err
    assert contents(world.client) == before


@pytest.mark.parametrize("field", ["config", "revision"])
def test_an_office_that_cannot_be_read_is_listed_told_and_made_anew(
    world: World, run: Run, field: str
) -> None:
    """K20."""
    world.offices.create("well", {})
    world.offices.create("o1", {"max_concurrent_jobs": 7})
    world.client.hset(world.keys.office("o1"), field, "{{{")

    listed, document, found = (
        run(*w) for w in (("office", "list"), ("office", "list", "-o", "json"), ("doctor",))
    )

    assert ["o1", "unreadable"] in [row[:2] for row in listed.rows]
    assert "`scheduler office create o1 --force` makes it anew" in listed.err
    assert {"well", "o1"} == {row["office"] for row in document.json}
    assert "PROBLEM  offices: o1: what Redis holds of it makes no sense" in found.out
    assert 4 == run("office", "create", "o1", "--max-retries", "1").code

    assert 0 == run("office", "create", "o1", "--force", "--max-retries", "1").code
    assert 1 == world.offices.read("o1").config.max_retries
    assert 4 == run("office", "create", "well", "--force").code
