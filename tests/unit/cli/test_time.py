"""Timeouts, processing by hand and chores on the command line."""

from __future__ import annotations

from scheduler.domain.states import SessionState as S
from scheduler.store.chores import ChoreRepository, ChoreRun
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import GROUP, NOBODY, World


def test_a_session_is_given_another_time_and_shows_it(world: World, run: Run) -> None:
    """J4."""
    session = world.into(S.RUNNING)

    said = run("session", "timeout", session, "2h")

    assert (0, f"{session} may run for 2h\n") == (said.code, said.out)
    assert "(set for this session)" in run("session", "show", session).out
    run("session", "timeout", session, "default")
    assert world.get(session).own_timeout_ms is None


def test_a_time_that_is_none_or_comes_too_late_is_refused(world: World, run: Run) -> None:
    """J10: one sentence, the right exit code, nothing written."""
    running, ended = world.into(S.RUNNING), world.into(S.FAILED)

    codes = [
        run("session", "timeout", *words).code
        for words in (
            (running, "soon"),
            (running, "-1s"),
            (NOBODY, "2h"),
            (ended, "2h"),
        )
    ]

    assert [2, 2, 3, 4] == codes
    assert world.get(running).own_timeout_ms is None
    assert (
        run("session", "timeout", running, "soon")
        .err.strip()
        .startswith("Bad setting timeout: it must be a duration")
    )


def test_what_history_says_of_timeouts(world: World, run: Run) -> None:
    """J6."""
    world.office("acme", timeout_ms_by_role={"a": 60_000})
    world.client.zadd(world.keys.digests(), {"acme/a": 0, "acme2/a": 0})
    world.client.hset(world.keys.durations("acme/a"), mapping={"120": 99, "timed_out": 1})

    table, document = (
        run("office", "timeouts", "acme"),
        run("office", "timeouts", "acme", "-o", "json"),
    )

    assert ["a", "99", "1"] == table.rows[1][:3]
    (role,) = document.json
    assert (32_768, 60_000, 50_000) == (role["p99_ms"], role["setting_ms"], role["recommended_ms"])
    assert 3 == run("office", "timeouts", "nowhere").code


def test_an_office_whose_group_nobody_leads_is_said_to_be_so(world: World, run: Run) -> None:
    """J5."""
    world.office("acme")
    world.submit(scopes={"office": "acme"})
    world.client.delete(world.keys.lock(GROUP))

    found = run("office", "process", "acme", "-o", "json").json

    assert (1, 0, 3) == (found["ready"], found["running"], found["free_slots"])
    assert [GROUP] == found["no_leader"]
    assert "no leader" in run("office", "process", "acme").out
    assert "not every leader has looked yet\n" == run("office", "process", "--all").out
    assert 2 == run("office", "process").code
    assert 2 == run("office", "process", "acme", "--all").code
    assert 3 == run("office", "process", "nowhere").code


def test_chores_are_shown_with_how_they_ended(world: World, run: Run) -> None:
    """J6."""
    notes = ChoreRepository(world.client, world.keys)
    notes.note(GROUP, ChoreRun("retention", 1_000, 3, "r2", "2 sessions forgotten", well=True))
    notes.note(GROUP, ChoreRun("digests", 1_000, 5, "r1", "no room", well=False))
    world.client.hset(world.keys.chores_ran(GROUP), "broken", "{")

    table, document = run("leader", "show"), run("leader", "show", "-o", "json")

    assert "2 sessions forgotten" in table.out
    assert "failed: no room" in table.out
    assert ["digests", "retention"] == [run["chore"] for run in document.json[0]["chores"]]
