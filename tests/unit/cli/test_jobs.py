"""`scheduler job` and `scheduler migrate`: what people see of an office's jobs."""

from __future__ import annotations

import pytest

from scheduler.domain.office import office_scopes
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import GROUP, NOBODY, S, World

BUILDER = office_scopes("acme", "builder")


@pytest.fixture
def office(world: World) -> World:
    world.office("acme", max_concurrent_jobs=1000, roles=["builder", "tester"])
    world.office("globex")
    return world


def test_jobs_are_listed_in_pages(run: Run, office: World) -> None:
    """J9."""
    jobs = [office.submit(name=f"n{n}", scopes=BUILDER) for n in range(3)]
    office.submit(scopes=office_scopes("acme", "tester"))
    office.submit()

    first = run("job", "list", "--office", "acme", "--role", "builder", "--limit", "2")
    assert [jobs[2], jobs[1]] == [row[0] for row in first.rows[1:]]
    assert ["n2", "builder", "READY", "10"] == first.rows[1][1:5]
    cursor = first.err.split()[-1]
    rest = run("job", "list", "--office", "acme", "--role", "builder", "--cursor", cursor)
    assert ([jobs[0]], "") == ([row[0] for row in rest.rows[1:]], rest.err)
    page = run("job", "list", "--office", "acme", "--state", "ready", "-o", "json").json
    assert (4, None) == (len(page["items"]), page["cursor"])
    assert (
        "There are no such jobs."
        in run("job", "list", "--office", "globex").err
        + run("job", "list", "--office", "globex").out
    )


def test_without_an_office_the_jobs_of_all_are_listed(run: Run, office: World) -> None:
    """As whoever runs the whole asks what there is."""
    jobs = []
    for n in range(30):
        scopes = office_scopes("globex") if n % 3 else BUILDER
        jobs.append(office.submit(name=f"n{n}", scopes=scopes))
    office.submit(name="nobody's")

    table = run("job", "list", "--limit", "1")
    assert ["ID", "NAME", "OFFICE", "ROLE"] == table.rows[0][:4]
    assert [jobs[29], "n29", "globex"] == table.rows[1][:3]
    assert "OFFICE" not in run("job", "list", "--office", "acme").out

    pages = [run("job", "list", "--limit", "7", "-o", "json").json]
    while cursor := pages[-1]["cursor"]:
        pages.append(run("job", "list", "--limit", "7", "--cursor", cursor, "-o", "json").json)
    found = [job for page in pages for job in page["items"]]
    assert jobs[::-1] == [job["id"] for job in found]
    assert {"acme", "globex"} == {job["office"] for job in found}

    builders = run("job", "list", "--role", "builder", "-o", "json").json["items"]
    assert jobs[::3][::-1] == [job["id"] for job in builders]
    named = run("job", "list", "--name", "n1?", "--newer-than", "1h", "-o", "json").json["items"]
    assert jobs[19:9:-1] == [job["id"] for job in named]
    assert 3 == run("job", "list", "--office", "nosuch").code
    assert 2 == run("job", "list", "--office", "").code


def test_where_there_is_no_office_there_are_no_jobs(run: Run, world: World) -> None:
    world.submit()

    assert {"items": [], "cursor": None} == run("job", "list", "-o", "json").json
    assert (0, "There are no such jobs.\n") == (run("job", "list").code, run("job", "list").err)


def test_jobs_are_listed_by_age(run: Run, office: World) -> None:
    """J9: by Redis' clock."""
    hour = 3_600_000
    now = office.sessions.redis_time_ms()
    jobs = [office.submit(scopes=BUILDER) for _ in range(3)]
    for job, age in zip(jobs, (3 * hour, hour, 0), strict=True):
        office.client.hset(office.keys.session(job), "submitted_at", now - age)

    def listed(*ages: str) -> list[str]:
        return [row[0] for row in run("job", "list", "--office", "acme", *ages).rows[1:]]

    assert [jobs[0]] == listed("--older-than", "2h")
    assert [jobs[2], jobs[1]] == listed("--newer-than", "2h")
    assert [jobs[1]] == listed("--older-than", "10m", "--newer-than", "2h")
    assert jobs[::-1] == listed("--newer-than", "100d")
    refused = run("job", "list", "--office", "acme", "--older-than", "2h", "--newer-than", "2h")
    assert (2, True) == (refused.code, "must be longer than --older-than" in refused.err)
    assert "a duration such as" in run("job", "list", "--office", "acme", "--older-than", "x").err


def test_a_job_and_its_executions_are_shown(run: Run, office: World) -> None:
    job = office.into(S.FAILED, scopes=BUILDER)
    office.sessions.retry(job)
    office.place(job)
    office.start(job)
    office.sessions.cancel(job)

    shown = run("job", "show", job, "--office", "acme", "-o", "json").json
    tries = run("job", "executions", job, "--office", "acme", "-o", "json").json
    assert ("acme", "builder", 0) == (shown["office"], shown["role"], shown["retry_count"])
    assert shown["cancelled_at"] is not None
    assert shown["request"]["timeout_ms"] == tries[0]["timeout_at"] - tries[0]["started_at"]
    assert ["failed", "running"] == [each["status"] for each in tries]
    table = run("job", "executions", job, "--office", "acme").rows
    assert [["1", "a1"], ["2", "a1"]] == [row[:2] for row in table[1:]]
    assert ["office", "acme"] == run("job", "show", job, "--office", "acme").rows[0]


def test_a_job_is_found_by_its_id_alone(run: Run, office: World) -> None:
    """Its record says whose it is."""
    job = office.submit(scopes=BUILDER)

    assert ["office", "acme"] == run("job", "show", job).rows[0]
    assert "It has not run yet." in (tries := run("job", "executions", job)).out + tries.err
    assert run("job", "priority", job, "99").out == f"job {job}: priority 99\n"
    assert run("job", "handoff", job, "tester").out == f"job {job}: role tester\n"
    assert run("job", "cancel", job).out == "cancelled\n"
    assert run("job", "retry", job).out == f"{job}\n"


def test_a_wrong_office_is_told_from_a_wrong_job(run: Run, office: World) -> None:
    job, nobodys = office.submit(scopes=BUILDER), office.submit()

    for words, says in (
        ((job, "--office", "nosuch"), "Office 'nosuch' does not exist"),
        ((job, "--office", "globex"), f"Session {job} is not known here"),
        ((nobodys,), f"Session {nobodys} is of no office and no job; `scheduler session`"),
        ((NOBODY,), f"Session {NOBODY} is not known here"),
        (("x",), "Session x is not known here"),
    ):
        refused = run("job", "show", *words)
        assert (3, True) == (refused.code, says in refused.err), refused.err


def test_jobs_are_steered(run: Run, office: World) -> None:
    """J5, J6, J10."""
    jobs = [office.submit(scopes=BUILDER) for _ in range(3)]

    assert 0 == run("job", "priority", jobs[2], "90", "--office", "acme").code
    assert jobs[2] == office.sessions.list_ids(GROUP, S.READY, limit=1)[0]
    assert 0 == run("job", "handoff", jobs[1], "tester", "--office", "acme").code
    assert "tester" == office.get(jobs[1]).role
    assert "cancelled\n" == run("job", "cancel", jobs[0], "--office", "acme").out
    assert f"{jobs[0]}\n" == run("job", "retry", jobs[0], "--office", "acme").out
    assert "1\n" == run("job", "cancel-all", "--office", "acme", "--role", "tester").out
    assert "2\n" == run("job", "cancel-all", "--office", "acme").out
    assert "0\n" == run("job", "cancel-all", "--office", "acme").out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["list", "--office", "a/b"], 2, "is no name"),
        (["list", "--office", "nowhere"], 3, "nowhere"),
        (["list", "--office", "acme", "--cursor", "x"], 2, "is not one that a page of jobs ended"),
        (["list", "--office", "acme", "--limit", "0"], 2, "not in the range"),
        (["cancel-all", "--office", "nowhere"], 3, "nowhere"),
        (["show", "JOB", "--office", "globex"], 3, "is not known here"),
        (["show", "x:y", "--office", "acme"], 3, "is not known here"),
        (["cancel", NOBODY, "--office", "acme"], 3, "is not known here"),
        (
            ["priority", "JOB", "101", "--office", "acme"],
            2,
            "Bad setting priority: it must be betw",
        ),
        (["priority", "JOB", "high", "--office", "acme"], 2, "not a valid integer"),
        (["retry", "JOB", "--office", "acme"], 4, "is READY; retry works only in"),
        (["handoff", "JOB", "cook", "--office", "acme"], 2, "role: office acme has no role 'cook'"),
        (["cancel-all"], 2, "--office"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    run: Run, office: World, words: list[str], code: int, says: str
) -> None:
    job = office.submit(scopes=BUILDER)

    told = run("job", *[job if word == "JOB" else word for word in words])

    assert (code, "") == (told.code, told.out)
    assert says.lower() in told.err.lower()
    assert S.READY is office.state(job)


def test_a_session_gets_another_priority(run: Run, world: World) -> None:
    session = world.submit()

    assert f"session {session}: priority 7\n" == run("session", "priority", session, "7").out
    assert 7 == world.get(session).priority


def test_data_of_the_version_before_is_planned_then_migrated(run: Run, office: World) -> None:
    job = office.submit(scopes=BUILDER)
    for key in office.client.scan_iter(office.keys.jobs("acme", "*")):
        office.client.delete(key)
    office.client.hdel(office.keys.session(job), "job")
    office.client.delete(office.keys.lock(GROUP))
    office.client.hset(office.keys.schema(), "version", 2)

    plan = run("migrate", "--plan", "-o", "json").json
    assert (2, 4, 1, 1) == (plan["found"], plan["target"], plan["sessions"], plan["jobs_to_list"])
    assert "2 -> 3: list the jobs of every office" in run("migrate", "--plan").out
    done = run("migrate")
    assert (0, "layout 2 -> 4, 1 jobs listed\n") == (done.code, done.out)
    assert "1 of 1 sessions looked at" in done.err
    assert "The layout is up to date." in run("migrate", "--plan").out
    assert [job] == [row[0] for row in run("job", "list", "--office", "acme").rows[1:]]
    assert {"found": 4, "now": 4, "jobs_listed": 0} == run("migrate", "-o", "json").json


def test_a_newer_layout_is_not_touched(run: Run, world: World) -> None:
    world.client.hset(world.keys.schema(), "version", 9)

    for words in (["migrate"], ["migrate", "--plan"]):
        told = run(*words)
        assert (4, "") == (told.code, told.out)
        assert "update the program" in told.err


def test_where_nothing_ever_ran_there_is_nothing_to_do(run: Run, world: World) -> None:
    world.client.delete(world.keys.schema())

    assert "none yet" in run("migrate", "--plan").out
    assert "No replica has ever run" in run("migrate").err
