"""``scheduler doctor``: agrees with clean data, and finds what was planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.bootstrap import open_store
from scheduler.domain import moves as m
from scheduler.domain.office import office_scopes
from scheduler.domain.scope import GLOBAL, Scope, ScopeLimits
from scheduler.domain.states import SessionState as S
from scheduler.operations import recount
from scheduler.operations.checks import Level
from scheduler.operations.doctor import check_limits, examine
from scheduler.operations.recount import Recount
from scheduler.settings import load
from scheduler.store.audit import AuditRepository, script_names
from scheduler.store.miscounts import ScopeCounts
from scheduler.store.schema import prepare
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import NOBODY, World

K1 = Scope("keypair", "k1")


@pytest.fixture
def lived(world: World) -> World:
    """A namespace in which something of everything has happened."""
    prepare(world.client, world.keys, events_cap=1_000)
    world.office("acme", max_concurrent_jobs=1_000, roles=["builder"])
    for state in S:
        world.into(state, keypair="k1", scopes=office_scopes("acme", "builder"))
    parent = world.submit(priority=70)
    world.submit(depends_on=[parent])
    world.into(S.RUNNING, cluster_size=3, slots={"cpu": "2", "mem": "1GiB"})
    world.mailbox().beat(world.boots["a1"], 60_000, claims=0, running=[])
    return world


@pytest.mark.usefixtures("lived")
def test_the_doctor_agrees_with_clean_data(run: Run) -> None:
    said = run("doctor", "-o", "json")

    assert [] == [check for check in said.json["checks"] if not check["ok"]]
    assert (0, True) == (said.code, said.json["ok"])


@pytest.mark.usefixtures("lived")
def test_the_doctor_says_one_line_per_check(run: Run) -> None:
    said = run("doctor")

    assert {"OK", "WARNING"} >= {row[0] for row in said.rows}
    assert "leader of default: replica in term" in said.out


def _slot(world: World) -> str:
    world.client.hincrby(world.keys.record("a1"), "free:cpu", 500)
    return "agent a1 has lent"


def _member(world: World) -> str:
    world.client.sadd(world.keys.scope_members("keypair", "k1"), NOBODY)
    return f"scope keypair k1 is held by session {NOBODY}, which is not known"


def _ended_member(world: World) -> str:
    session = _one(world, S.SUCCEEDED)
    world.client.sadd(world.keys.scope_members(*GLOBAL), session)
    return f"scope global global is held by session {session}, which is SUCCEEDED"


def _lost_member(world: World) -> str:
    session = _one(world, S.RUNNING)
    world.client.srem(world.keys.scope_members(*GLOBAL), session)
    return f"session {session} is RUNNING and does not hold scope global global"


def _unnamed_scope(world: World) -> str:
    world.scopes.limit(Scope("user", "u1"), ScopeLimits(5))
    session = _one(world, S.RUNNING)
    world.client.sadd(world.keys.scope_members("user", "u1"), session)
    return f"scope user u1 is held by session {session}, which does not name it"


def _wrong_index(world: World) -> str:
    session = _one(world, S.READY)
    world.client.zadd(world.keys.state("default", S.FAILED), {session: 1})
    return f"session {session} is listed as FAILED in group default, and is READY in group default"


def _no_record(world: World) -> str:
    world.client.zadd(world.keys.state("default", S.PENDING), {NOBODY: 1})
    return f"session {NOBODY} is listed as PENDING in group default, and there is no record of it"


def _not_listed(world: World) -> str:
    session = _one(world, S.RUNNING)
    world.client.zrem(world.keys.state("default", S.RUNNING), session)
    return f"session {session} is RUNNING and not listed in group default"


def _wrong_rank(world: World) -> str:
    session = _one(world, S.READY)
    world.client.zincrby(world.keys.state("default", S.READY), 1, session)
    return f"session {session} is listed as READY in group default at"


def _uses(world: World) -> str:
    request = world.get(_one(world, S.READY)).request.id
    world.client.hincrby(world.keys.request(request), "uses", 1)
    return f"request {request} counts"


def _recount(world: World, scope: Scope, **counts: Any) -> None:
    """Change what a scope counts behind everybody's back."""
    key = world.keys.scope_use()
    before = json.loads(world.client.hget(key, str(scope)) or "")
    world.client.hset(key, str(scope), json.dumps({**before, **counts}))


def _count(world: World) -> str:
    _recount(world, K1, **{"slots:cpu": 4500})
    return "scope keypair k1 counts slots:cpu 4500, there are 4000"


def _waiting(world: World) -> str:
    _recount(world, GLOBAL, pending=0)
    return "scope global global counts pending 0, there are 5"


def _strange_count(world: World) -> str:
    _recount(world, K1, **{"slots:cpu": "many"})
    return "scope keypair k1 counts slots:cpu 0, there are 4000"


def _spoilt_counts(world: World) -> str:
    world.client.hset(world.keys.scope_use(), str(K1), "[")
    return "scope keypair k1 counts pending 0, there are 3"


def _spoilt_limits(world: World) -> str:
    world.client.hset(world.keys.scope_limits(), str(K1), "[")
    return "those of keypair k1 cannot be read, so it admits nobody; `scheduler scope set keypair k1 ...`"


def _no_leader(world: World) -> str:
    world.client.delete(world.keys.lock("default"))
    return "nobody leads"


def _strange_lock(world: World) -> str:
    world.client.set(world.keys.lock("default"), "somebody")
    return "no term was begun by who holds it"


def _silent(world: World) -> str:
    world.client.delete(world.keys.beat("a1"))
    return "a1 is ready and has not beaten"


def _lost_and_silent(world: World) -> str:
    _lost_agent(world)
    world.client.delete(world.keys.beat("a1"))
    return "a1 is lost; `scheduler agent remove a1` forgets it"


def _lost_agent(world: World) -> str:
    world.apply(m.Mark("a1", world.boots["a1"], "lost", "silent"))
    return "a1 is lost, and beats; its 0 kernels must end before it gets work"


def _vanished_agent(world: World) -> str:
    world.client.delete(world.keys.record("a1"))
    return "agent a1 is not known, and kernels hold slots of it"


def _unlisted_job(world: World) -> str:
    session = next(iter(dict(world.jobs.newest("acme", "", [S.RUNNING], None, 1))))
    world.client.zrem(world.keys.jobs_of_role("acme", "builder", S.RUNNING), session)
    return f"job {session} of acme/builder is not listed as RUNNING; `scheduler migrate` lists them"


def _nameless_job(world: World) -> str:
    session = _one(world, S.FAILED)
    world.client.hdel(world.keys.session(session), "job")
    return f"job {session} of acme/builder is not listed as FAILED"


def _stray_job(world: World) -> str:
    world.client.zadd(world.keys.jobs("acme", S.READY), {NOBODY: 1})
    return f"{NOBODY} is listed as READY of acme and is not"


def _one(world: World, state: S) -> str:
    return world.sessions.list_ids("default", state, limit=1)[0]


@pytest.mark.parametrize(
    "plant",
    [
        _slot,
        _member,
        _ended_member,
        _lost_member,
        _unnamed_scope,
        _unlisted_job,
        _nameless_job,
        _stray_job,
        _wrong_index,
        _no_record,
        _not_listed,
        _wrong_rank,
        _uses,
        _count,
        _waiting,
        _strange_count,
        _spoilt_counts,
        _spoilt_limits,
        _no_leader,
        _strange_lock,
        _silent,
        _lost_agent,
        _lost_and_silent,
        _vanished_agent,
    ],
)
def test_planted_drift_is_found(lived: World, run: Run, plant: Callable[[World], str]) -> None:
    says = plant(lived)

    said = run("doctor")

    assert 1 == said.code
    assert says in said.out


def _paused(world: World) -> str:
    world.groups.pause("default", "the disks are full")
    return "WARNING  placing in default: the group is paused: the disks are full; 2 READY sessions wait"


def _drained(world: World) -> str:
    world.agents.drain("a1")
    return "WARNING  placing in default: all 1 ready agents are drained; 2 READY sessions wait"


def _not_ready(world: World) -> str:
    world.apply(m.Mark("a1", world.boots["a1"], "not-ready", "silent"))
    return "PROBLEM  placing in default: none of 1 agents is ready; 2 READY sessions wait"


def _hangs(world: World) -> str:
    world.leadership.note_turn("default", world.leader.term.nonce, 18_400)
    return " s, while 2 READY sessions wait; a plugin of the group may hang"


@pytest.mark.parametrize("plant", [_paused, _drained, _not_ready, _hangs])
def test_what_keeps_all_from_being_placed_is_told(
    lived: World, run: Run, plant: Callable[[World], str]
) -> None:
    """Whoever is called at night asks the doctor first, and must not hear that all is well."""
    says = plant(lived)

    said = run("doctor")

    assert says in said.out
    assert ("PROBLEM" in said.out) == bool(said.code)


def test_of_a_leader_that_is_gone_nobody_says_that_it_hangs(lived: World, run: Run) -> None:
    lived.leadership.note_turn("default", lived.leader.term.nonce, 18_400)
    lived.lead()

    assert "has not decided" not in run("doctor").out


def test_an_agent_that_said_goodbye_is_well(lived: World, run: Run) -> None:
    lived.apply(m.Mark("a1", lived.boots["a1"], "left", "stopped"))
    lived.client.delete(lived.keys.beat("a1"))

    assert 0 == run("doctor").code


def test_what_moves_while_it_is_counted_is_no_drift(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between every two reads of the recount sessions are submitted, placed, ended."""
    moving: list[str] = []
    inside = False

    def stir() -> None:
        nonlocal inside
        if inside or len(moving) > 150:
            return
        inside = True
        session = lived.submit(keypair="k1")
        moving.append(session)
        if len(moving) % 2:
            lived.place(session)
            lived.start(session)
        for old in moving[-6:-5]:
            if lived.state(old) is S.RUNNING:
                lived.end(old)
        inside = False

    for name in ("ids", "entries", "membership", "agent_step", "request_uses"):
        _before(monkeypatch, AuditRepository, name, stir)
    audit = AuditRepository(lived.client, lived.keys)
    counting = Recount(lived, audit, lambda _: stir())
    tally = counting.indexes()

    assert [] == tally.drift
    assert [] == counting.requests(tally)
    assert [] == counting.slots("default")
    assert [] == counting.scopes(tally.uses)
    assert [] == ScopeCounts(lived.client, lived.keys).miscounts()
    assert len(moving) > 10


def test_scopes_whose_sessions_never_stand_still_are_not_accused(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _count(lived)
    _before(monkeypatch, ScopeCounts, "_stands", lived.submit)

    found = check_limits(ScopeCounts(lived.client, lived.keys))

    assert Level.WARNING is found.level
    assert "sessions moved all the time" in found.says


@pytest.mark.parametrize("plant", [_count, _waiting, _strange_count])
def test_repair_puts_right_what_scopes_count(
    lived: World, run: Run, plant: Callable[[World], str]
) -> None:
    says = plant(lived)
    found = run("doctor").out

    repaired, after = run("doctor", "--repair"), run("doctor", "-o", "json")

    assert f"{says}; `scheduler doctor --repair` puts that right" in found
    assert f"OK       limits: put right: {says}" in repaired.out
    # Of the others nothing is asked: on a busy machine the agent is silent by the third run.
    assert [True] == [check["ok"] for check in after.json["checks"] if check["name"] == "limits"]


def test_one_key_of_another_type_hides_nothing(lived: World, run: Run) -> None:
    """K20: what is listed without a record is told by the doctor, and taken off by it."""
    spoilt, well = lived.into(S.FAILED), lived.into(S.FAILED)
    lived.client.delete(lived.keys.session(spoilt))
    lived.client.set(lived.keys.session(spoilt), "garbage")

    listed, shown, found = run("session", "list"), run("session", "show", spoilt), run("doctor")

    assert (0, 0) == (listed.code, shown.code)
    assert {spoilt, well} <= {row[0] for row in listed.rows}
    assert "makes no sense" in next(line for line in listed.out.splitlines() if spoilt in line)
    assert f"session {spoilt} is listed as FAILED in group default, and there is no" in found.out
    assert "`scheduler doctor --repair` takes off those without a record" in found.out
    assert "limits: slots and waiting sessions count right" in found.out
    repaired = run("doctor", "--repair")
    assert ("OK       indexes", spoilt) == (
        next(line[:16] for line in repaired.out.splitlines() if "indexes:" in line),
        spoilt,
    )
    assert spoilt not in run("session", "list").out


@pytest.mark.parametrize("field", ["revision", "reachable"])
def test_a_spoilt_group_is_told_with_its_key_and_hides_nothing(
    lived: World, run: Run, field: str
) -> None:
    key = lived.keys.group("default")
    lived.client.hset(key, field, "{{{")

    found = run("doctor")

    assert 1 == found.code
    assert f"field {field} of key {key} makes no sense; `redis-cli" in found.out
    assert "limits: slots and waiting sessions count right" in found.out
    if field == "reachable":
        assert 0 == run("session", "submit", "--", "true").code
    else:
        assert f"field {field} of key {key} makes no sense" in run("group", "show", "default").err


def test_a_key_that_cannot_be_read_hides_no_other_check(lived: World, run: Run) -> None:
    lived.client.delete(lived.keys.verdicts("default"))
    lived.client.set(lived.keys.verdicts("default"), "garbage")

    found = run("doctor")

    assert 1 == found.code
    assert "PROBLEM  plugins of default: what Redis holds cannot be read: " in found.out
    assert "limits: slots and waiting sessions count right" in found.out


def _before(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, act: Callable[[], object]
) -> None:
    read = getattr(kind, name)

    def method(*args: Any, **kwargs: Any) -> Any:
        act()
        return read(*args, **kwargs)

    monkeypatch.setattr(kind, name, method)


def test_drift_is_found_while_everything_moves(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = _slot(lived)
    _before(monkeypatch, AuditRepository, "agent_step", lived.submit)
    counting = Recount(lived, AuditRepository(lived.client, lived.keys), lambda _: None)

    (found,) = counting.slots("default")

    assert found.startswith(says)


def test_an_agent_that_never_stands_still_is_not_accused(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slot(lived)
    _before(monkeypatch, AuditRepository, "agent_step", lambda: lived.into(S.RUNNING))
    pauses: list[float] = []
    counting = Recount(lived, AuditRepository(lived.client, lived.keys), pauses.append)

    assert [] == counting.slots("default")
    assert recount.TRIES == len(pauses)


def test_a_line_names_a_few_and_counts_the_rest(lived: World, run: Run) -> None:
    members = {f"{number:026d}" for number in range(9)}
    lived.client.sadd(lived.keys.scope_members("keypair", "k1"), *members)

    said = run("doctor")

    assert "; and 4 more" in said.out


def test_an_election_is_given_time(lived: World) -> None:
    lived.client.delete(lived.keys.lock("default"))
    pauses: list[float] = []

    def elect(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            lived.lead()

    store = open_store(load(namespace=lived.keys.root), lived.client)
    audit = AuditRepository(lived.client, lived.keys)
    checks = list(examine(store, audit, silent_after_ms=60_000, pause=elect))

    assert all(check.ok for check in checks)
    assert 2 == len(pauses)


def test_scripts_that_are_only_included_are_not_loaded() -> None:
    assert "leader/apply" in script_names()
    assert not [name for name in script_names() if name.startswith(("lib/", "move/"))]
