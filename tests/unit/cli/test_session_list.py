"""``scheduler session list`` and ``job list`` by name and by agent, from the command line and from Python."""

from __future__ import annotations

import pytest
import redis

from scheduler.client import Client
from scheduler.domain.errors import AgentNotFound, InvalidSetting
from scheduler.domain.states import SessionState as S
from scheduler.store.keys import Keys
from tests.unit.cli.conftest import Run, Said
from tests.unit.store.lives import World


@pytest.fixture
def app(redis_client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("scheduler.bootstrap.connect", lambda *_, **__: redis_client)
    monkeypatch.setattr("scheduler.client.check_server", lambda _: None)
    return Client("redis://127.0.0.1:1/0", keys.root)


def _ids(said: Said) -> list[str]:
    assert 0 == said.code, said.err
    return [row["id"] for row in said.json]


def _cursor(said: Said) -> str:
    return said.err.split("--cursor ")[1].rstrip(".\n")


def _counted(world: World, run: Run, *words: str) -> tuple[Said, int]:
    """What a command says, and how many commands it has cost the server."""
    before = world.client.info("stats")["total_commands_processed"]
    said = run(*words)
    return said, world.client.info("stats")["total_commands_processed"] - before


def test_a_list_by_name_is_all_of_that_name(world: World, run: Run) -> None:
    failed = world.into(S.FAILED, name="train-1")
    running, ready = world.into(S.RUNNING, name="train-2"), world.into(S.READY, name="train-10")
    world.into(S.READY, name="eval")
    world.into(S.READY)

    assert [ready, running, failed] == _ids(
        run("session", "list", "--name", "train-*", "-o", "json")
    )
    assert [failed] == _ids(run("session", "list", "--name", "train-1", "-o", "json"))
    assert [failed, running] == sorted(
        _ids(run("session", "list", "--name", "train-?", "-o", "json"))
    )
    by_state = run("session", "list", "--name", "train-*", "--state", "FAILED", "-o", "json")
    assert [failed] == _ids(by_state)
    assert "There are no such sessions." in run("session", "list", "--name", "train").err


def test_a_list_by_agent_is_what_has_a_kernel_there_now(world: World, run: Run) -> None:
    running = world.into(S.RUNNING, name="train-1")
    world.into(S.SUCCEEDED)
    world.into(S.READY)
    stopping = world.into(S.TERMINATING)

    assert [running, stopping] == _ids(run("session", "list", "--agent", "a1", "-o", "json"))
    assert [stopping] == _ids(
        run("session", "list", "--agent", "a1", "--state", "TERMINATING", "-o", "json")
    )
    assert [running] == _ids(
        run("session", "list", "--agent", "a1", "--name", "train*", "-o", "json")
    )


def test_a_kernel_that_is_over_is_not_there_any_more(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    world.kernels_over(session)

    assert [] == _ids(run("session", "list", "--agent", "a1", "-o", "json"))


def test_what_waits_and_what_has_ended_is_not_read_for_an_agent(world: World, run: Run) -> None:
    placed = world.into(S.RUNNING)
    few, cost_of_few = _counted(world, run, "session", "list", "--agent", "a1", "-o", "json")
    for _ in range(40):
        world.into(S.READY)

    many, cost_of_many = _counted(world, run, "session", "list", "--agent", "a1", "-o", "json")

    assert [placed] == _ids(few) == _ids(many)
    assert cost_of_few == cost_of_many


def test_a_list_by_name_goes_on_where_a_page_ended(world: World, run: Run) -> None:
    wanted = [world.submit(name=f"train-{n}") for n in range(5)]
    wanted += [world.into(S.CANCELLED, name="train-x") for _ in range(3)]
    world.submit(name="eval")
    listing = ("session", "list", "--name", "train-*", "--limit", "3", "-o", "json")

    first = run(*listing)
    world.sessions.cancel(wanted[1])
    second = run(*listing, "--cursor", _cursor(first))
    third = run(*listing, "--cursor", _cursor(second))

    assert wanted[:3] == _ids(first)
    assert wanted[3:5] == _ids(second)[:2]
    assert {*wanted[5:], wanted[1]} == {*_ids(second)[2:], *_ids(third)}
    rest = run(*listing, "--cursor", _cursor(third))
    assert ([], "") == (_ids(rest), rest.err)


def test_a_page_by_name_looks_at_so_many_and_no_more(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("finding", "jobs"):
        monkeypatch.setattr(f"scheduler.operations.{module}.LOOKED_AT", 4)
        monkeypatch.setattr(f"scheduler.operations.{module}.BATCH", 2)
    world.submit()
    wanted = world.submit(name="last")
    for _ in range(6):
        world.submit(priority=90)
    listing = ("session", "list", "--name", "last", "-o", "json")

    first = run(*listing)
    second = run(*listing, "--cursor", _cursor(first))

    assert first.err.startswith("Sessions looked at: 4; more may follow: --cursor READY.default.")
    assert [] == _ids(first)
    assert [wanted] == _ids(second)


def test_ends_of_the_same_moment_are_met_once_each(world: World, run: Run) -> None:
    """The place in an index is a time, and batches end in one millisecond."""
    ended = [world.into(S.CANCELLED, name="same") for _ in range(5)]
    world.client.zadd(world.keys.state("default", S.CANCELLED), dict.fromkeys(ended, 1_000))
    listing = ("session", "list", "--name", "same", "--limit", "2", "-o", "json")

    pages = [run(*listing)]
    while pages[-1].err:
        pages.append(run(*listing, "--cursor", _cursor(pages[-1])))

    assert sorted(ended, reverse=True) == [i for page in pages for i in _ids(page)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", ""), "a pattern of names such as 'train-*' has 1 to 256 characters"),
        (("--agent", "nosuch"), "nosuch"),
        (("--agent", "no such"), "no such"),
        (("--agent", "a1", "--state", "READY"), "on an agent are only sessions that are SCHEDULED"),
        (("--name", "x", "--cursor", "712"), "not one that a page of this list ended with"),
        (
            ("--name", "x", "--state", "FAILED", "--cursor", f"READY.default.1.{'0' * 26}"),
            "not one that a page of this list ended with",
        ),
        (("--cursor", "712"), "--cursor goes on with a page by --name or --agent; give that, too"),
    ],
)
def test_what_cannot_be_listed_is_refused(
    world: World, run: Run, words: tuple[str, ...], says: str
) -> None:
    _ = world

    said = run("session", "list", *words)

    assert says in said.err
    assert (True, 1) == (said.code != 0, said.err.count("\n"))


def test_a_key_that_is_no_session_hides_no_other(world: World, run: Run) -> None:
    spoilt, wanted = world.submit(name="train-1"), world.submit(name="train-2")
    world.client.delete(world.keys.session(spoilt))
    world.client.set(world.keys.session(spoilt), "no hash")

    assert [wanted] == _ids(run("session", "list", "--name", "train-*", "-o", "json"))


def test_python_lists_by_name_and_by_agent(
    world: World, app: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.operations.finding.LOOKED_AT", 2)
    monkeypatch.setattr("scheduler.operations.finding.BATCH", 2)
    waiting = [world.submit(name="train") for _ in range(5)]
    world.submit(name="eval")
    running = world.into(S.RUNNING, name="train")

    assert [*waiting, running] == [d.id for d in app.sessions(name="train")]
    assert waiting[:3] == [d.id for d in app.sessions(S.READY, name="tr*", limit=3)]
    assert [running] == [d.id for d in app.sessions(agent="a1")]
    with pytest.raises(AgentNotFound):
        next(app.sessions(agent="nosuch"))
    with pytest.raises(InvalidSetting):
        next(app.sessions(S.READY, agent="a1"))


def test_jobs_are_listed_by_name_and_by_agent(
    world: World, app: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("finding", "jobs"):
        monkeypatch.setattr(f"scheduler.operations.{module}.LOOKED_AT", 2)
        monkeypatch.setattr(f"scheduler.operations.{module}.BATCH", 2)
    office = app.office("acme")
    office.create()
    wanted = [office.submit("jobs:noop", name="train-1").id]
    for _ in range(5):
        office.submit("jobs:noop", name="eval")
    world.submit(name="train-2")
    listing = ("job", "list", "--office", "acme", "--name", "train-*", "-o", "json")

    pages = [run(*listing).json]
    while cursor := pages[-1]["cursor"]:
        pages.append(run(*listing, "--cursor", cursor).json)

    assert wanted == [job["id"] for page in pages for job in page["items"]]
    assert 3 <= len(pages) <= 4
    assert wanted == [job.id for job in office.jobs(name="train-*")]
    assert [] == [job.id for job in office.jobs(agent="a1")]
    world.place(wanted[0])
    assert wanted == [job.id for job in office.jobs(agent="a1")]
    assert wanted == [
        job["id"]
        for job in run("job", "list", "--office", "acme", "--agent", "a1", "-o", "json").json[
            "items"
        ]
    ]
    assert 3 == run("job", "list", "--office", "acme", "--agent", "nosuch").code
