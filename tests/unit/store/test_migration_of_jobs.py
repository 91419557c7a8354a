"""Data of layout 2, as the version before wrote it, is brought up to date: its jobs are listed.

`data/layout_2.json` is what that version left in Redis: sessions of two offices and of none in every
state, one that was asked for again, a dependency, an office whose name can be none, and an agent that
runs some of them; nobody leads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from scheduler.domain.agent import AgentStatus
from scheduler.domain.errors import MigrationRefused, SchemaTooOld
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits
from scheduler.operations.jobs import executions, list_jobs
from scheduler.operations.migrating import migrate, plan_migration
from scheduler.store import job_index, migration, schema
from scheduler.store.job_index import JobIndex
from scheduler.store.keys import Keys
from scheduler.store.leadership import LeaderStore
from scheduler.store.migration import Means
from scheduler.store.script import Script
from tests.unit.store.lives import GROUP, S, World, contents, order_id

DATA = Path(__file__).parent / "data" / "layout_2.json"
#: By office, of how many jobs in each state it tells.
ACME = dict.fromkeys(S, 2) | {S.RUNNING: 3, S.READY: 3, S.PENDING: 3}
GLOBEX = dict.fromkeys(S, 1)


class Old(World):
    """The data as it was left; nobody leads, and the agent's boot is the one that ran then."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        for name, (kind, value) in json.loads(DATA.read_text()).items():
            _put(client, name.replace("old:", f"{keys.root}:", 1), kind, value)
        super().__init__(client, keys)
        self.boots["a1"] = self.agents.get("a1").boot

    def lead(self, group: str = GROUP) -> LeaderStore:
        """Nobody does, until a test asks."""
        return super().lead(group) if hasattr(self, "leader") else None  # type: ignore[return-value]

    def admit(self, agent: str = "a1", group: str = GROUP, **changes: Any) -> str:
        """It was admitted by the version before."""
        return super().admit(agent, group, **changes) if self.boots else "already"


def _put(client: Any, key: str, kind: str, value: Any) -> None:
    match kind:
        case "hash":
            client.hset(key, mapping=value)
        case "string":
            client.set(key, value)
        case "set":
            client.sadd(key, *value)
        case "zset":
            client.zadd(key, value)
        case "list":
            client.rpush(key, *value)
        case _:
            for entry, fields in value:
                client.xadd(key, fields, id=entry)


@pytest.fixture
def old(redis_client: redis.Redis, keys: Keys) -> Old:
    return Old(redis_client, keys)


def prepare(world: World) -> None:
    schema.prepare(world.client, world.keys, events_cap=1000)


def listed(world: World, office: str, role: str = "") -> dict[S, int]:
    found = {state: len(list_jobs(world, office, state, role).items) for state in S}
    counted = world.jobs.counts(office, role)
    assert counted == found
    return found


def test_all_jobs_of_the_version_before_are_listed(old: Old) -> None:
    """J9: a replica does it when it starts."""
    with pytest.raises(
        SchemaTooOld, match="has layout 2, and 4 is needed: run `scheduler migrate`"
    ):
        schema.check_version(old.client, old.keys)
    before = {
        key: value
        for key, value in contents(old.client).items()
        if ":session:" not in key and not _of_scopes(old, key)
    }

    prepare(old)

    assert listed(old, "acme") == ACME
    assert listed(old, "globex") == GLOBEX == listed(old, "globex", "tester")
    assert {**GLOBEX, S.RUNNING: 2} == listed(old, "acme", "builder")
    after = contents(old.client)
    changed = {key for key, value in before.items() if after.get(key) != value}
    assert {old.keys.schema(), old.keys.counters()} == changed
    numbers = [data.seq for data in list_jobs(old, "acme").items]
    assert sorted(numbers, reverse=True) == numbers
    schema.check_version(old.client, old.keys)


def _of_scopes(world: World, key: str) -> bool:
    """Whether it is one of the hashes that each scope had, or the list of those with limits."""
    root = world.keys.root
    return (
        key.startswith((f"{root}:scope:use:", f"{root}:scope:limits:")) or key == f"{root}:scopes"
    )


def _counted(world: World) -> dict[str, Any]:
    """What the version before counted, and limited, by scope."""
    prefix = f"{world.keys.root}:scope:"
    return {
        key.removeprefix(prefix).replace(":", " ", 2): value
        for key, value in contents(world.client).items()
        if key.startswith((f"{prefix}use:", f"{prefix}limits:"))
    }


@pytest.mark.parametrize("layout", [2, 3])
def test_scopes_count_and_allow_what_they_did(old: Old, layout: int) -> None:
    """K8: what each had in hashes of its own stands in one of all."""
    before, whole = _counted(old), contents(old.client)
    if layout == 3:
        for page in JobIndex(old.client, old.keys).look():
            JobIndex(old.client, old.keys).put_right(page.misplaced, 2, guarded=False)
        old.client.hset(old.keys.schema(), "version", layout)

    prepare(old)

    counts = {
        f"use {scope}": {name: str(number) for name, number in fields.items()}
        for scope, fields in contents(old.client)[old.keys.scope_use()].items()
    }
    limits = old.scopes.read(old.scopes.known())
    assert {name: value for name, value in before.items() if name.startswith("use")} == counts
    assert {"limits office acme": {"max_sessions": "20"}} == {
        name: value for name, value in before.items() if name.startswith("limits")
    }
    assert {Scope("office", "acme"): ScopeLimits(20)} == {
        scope: use.limits for scope, use in limits.items() if scope != GLOBAL
    }
    assert set() == {key for key in contents(old.client) if _of_scopes(old, key)}
    members = {key for key in whole if ":scope:members:" in key}
    assert members == {key for key in contents(old.client) if ":scope:members:" in key}


def test_its_attempts_are_read_as_executions(old: Old) -> None:
    prepare(old)
    again = next(d for d in list_jobs(old, "acme", S.RUNNING).items if d.name == "acme again")

    assert ["failed", "running"] == [each.status for each in executions(old, "acme", again.id)]
    assert (0, "no longer wanted") == (again.retry_count, again.cancel_requested)


def test_agents_of_the_version_before_work_on(old: Old) -> None:
    """What they hold ends, what lies in their queue begins, and the lists follow."""
    prepare(old)
    old.leader = super(Old, old).lead()
    assert AgentStatus.READY is old.agents.get("a1").status
    [ordered] = list_jobs(old, "globex", S.SCHEDULED).items

    assert [order_id(ordered)] == old.take(ordered.id)
    old.claim(ordered.id)
    old.up(ordered.id)
    for job in list_jobs(old, "globex", S.RUNNING).items:
        old.end(job.id)

    assert {**GLOBEX, S.SCHEDULED: 0, S.RUNNING: 0, S.SUCCEEDED: 3} == listed(old, "globex")


@pytest.mark.parametrize("broken_off_after", [0, 1, 3, 5])
def test_it_goes_on_where_it_was_broken_off(
    old: Old, monkeypatch: pytest.MonkeyPatch, broken_off_after: int
) -> None:
    """An app of the version before still moves something between."""
    monkeypatch.setattr(job_index, "PAGE", 4)
    run, calls = Script.run, 0

    def killed(script: Script, *arguments: Any) -> Any:
        nonlocal calls
        calls += script.name == "schema/list_jobs"
        if calls > broken_off_after:
            raise KeyboardInterrupt
        return run(script, *arguments)

    total = plan_migration(old).misplaced
    with monkeypatch.context() as patch:
        patch.setattr(Script, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(old)
    assert "2" == old.client.hget(old.keys.schema(), "version")
    left = plan_migration(old).misplaced
    assert (left < total) is (broken_off_after > 0)
    for session in old.sessions.list_ids(GROUP, S.READY, limit=100):
        _cancel_as_before(old, session)

    prepare(old)

    assert {**ACME, S.READY: 0, S.CANCELLED: 5} == listed(old, "acme")
    assert [] == [each for page in JobIndex(old.client, old.keys).look() for each in page.misplaced]


def _cancel_as_before(world: World, session: str) -> None:
    """What the version before did: it knew no lists."""
    job = world.client.hget(world.keys.session(session), "job")
    world.client.hdel(world.keys.session(session), "job")
    world.sessions.cancel(session)
    if job:
        world.client.hset(world.keys.session(session), "job", job)


def test_beside_a_leader_of_the_version_before_it_is_refused(old: Old) -> None:
    old.client.set(old.keys.lock(GROUP), "somebody")
    pauses: list[float] = []
    with pytest.raises(MigrationRefused, match="leads group default; stop all that are older"):
        migration.bring_up_to_date(old.client, old.keys, (2, 4), Means(pauses.append))

    assert migration.TRIES - 1 == len(pauses)
    assert plan_migration(old).misplaced == sum(ACME.values()) + sum(GLOBEX.values())


def test_beside_an_app_of_the_version_before_it_is_refused(old: Old) -> None:
    """What it moved may be listed where it was."""
    waiting = old.sessions.list_ids(GROUP, S.READY, limit=100)

    def moves(done: int, total: int) -> None:
        if done == total and waiting:
            _cancel_as_before(old, waiting.pop())
            _cancel_as_before(old, old.sessions.list_ids(GROUP, S.PENDING, limit=1)[0])

    waits = Means(lambda _: None, moves)
    with pytest.raises(MigrationRefused, match="something still writes to it"):
        migration.bring_up_to_date(old.client, old.keys, (2, 4), waits)
    assert "2" == old.client.hget(old.keys.schema(), "version")

    prepare(old)
    assert [] == [each for page in JobIndex(old.client, old.keys).look() for each in page.misplaced]


def test_a_plan_writes_nothing_and_says_what_would_be_done(old: Old) -> None:
    before = contents(old.client)

    plan = plan_migration(old)

    assert before == contents(old.client)
    assert (2, 4) == (plan.found, plan.target)
    assert [
        "list the jobs of every office by state and by role",
        "keep what all scopes count, worked out anew, and their limits in one hash each",
    ] == [step.says for step in plan.steps]
    assert (49, sum(ACME.values()) + sum(GLOBEX.values())) == (plan.sessions, plan.misplaced)


def test_what_an_older_program_wrote_since_is_mended_while_all_runs(old: Old) -> None:
    migrate(old, lambda *_: None)
    old.leader = super(Old, old).lead()
    [job] = old.sessions.list_ids(GROUP, S.RUNNING, limit=1)
    lost, moved = list_jobs(old, "acme", S.READY).items[:2]
    old.client.hdel(old.keys.session(lost.id), "job")
    _cancel_as_before(old, moved.id)
    old.client.zadd(old.keys.jobs("nowhere", "READY"), {job: 7, "nobody": 8})
    told: list[tuple[int, int]] = []
    assert 0 < plan_migration(old).misplaced

    migrate(old, lambda *far: told.append(far))

    assert 0 == plan_migration(old).misplaced
    assert (49, 49) == told[-1]
    assert {**ACME, S.READY: 2, S.CANCELLED: 3} == listed(old, "acme")
