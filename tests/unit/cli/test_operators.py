"""Agents, leaders, groups and scopes on the command line."""

from __future__ import annotations

import re

import pytest

from scheduler.domain import moves as m
from scheduler.domain.scope import Scope
from scheduler.domain.states import SessionState as S
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import OTHER, World, contents


def _beat(world: World, agent: str = "a1", running: list[str] | None = None) -> None:
    boot = world.boots[agent]
    world.mailbox(agent).beat(boot, 60_000, claims=0, running=running or [])


def test_agents_are_listed_with_room_beat_and_kernels(world: World, run: Run) -> None:
    _beat(world, running=["an order"])
    world.into(S.RUNNING, slots={"cpu": "1.5", "mem": "1GiB"})

    said = run("agent", "list")

    assert [
        "AGENT",
        "GROUP",
        "STATUS",
        "FREE",
        "BEAT",
        "KERNELS",
        "LABELS",
        "ADMISSION",
    ] == said.rows[0]
    assert ["a1", "default", "ready"] == said.rows[1][:3]
    assert "cpu 62.5/64" in said.out
    assert "mem 63GiB/64GiB" in said.out


def test_an_agent_that_went_silent_is_not_called_ready(world: World, run: Run) -> None:
    """Without a leader nobody marks it; who reads the list knows how old its beat is."""
    _beat(world, running=[])
    key = world.keys.beat("a1")
    world.client.set(key, re.sub(r'"at":\d+', '"at":1500000000000', str(world.client.get(key))))

    assert ["a1", "default", "silent"] == run("agent", "list").rows[1][:3]


def test_what_runs_without_a_leader_may_be_over(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    world.client.delete(world.keys.lock("default"))

    said = run("session", "explain", session).out

    assert "it is RUNNING on a1" in said
    assert "group default has no leader now, so that may be old" in said


def test_agents_as_json_carry_numbers(world: World, run: Run) -> None:
    _beat(world, running=["an order"])
    world.admit("a2", fields=["labels", '{"zone":"b"}', "address", "10.0.0.2"])

    first, second = run("agent", "list", "-o", "json").json

    assert ("a1", "ready", ["an order"]) == (first["id"], first["status"], first["running"])
    assert {"cpu": 64_000, "mem": 65_536} == first["capacity"]
    assert first["last_beat"] > 1_500_000_000_000
    assert ({"zone": "b"}, None) == (second["labels"], second["last_beat"])


def test_a_boot_that_waits_shows_why(world: World, run: Run) -> None:
    world.apply(m.Answer("a9", "default", OTHER, "waiting", "the old boot's lease runs"))

    table, document = run("agent", "list"), run("agent", "show", "a9", "-o", "json")

    assert "waits: the old boot's lease runs" in table.out
    assert "the old boot's lease runs" == document.json["candidate"]


def test_an_agent_shows_what_is_placed_on_it(world: World, run: Run) -> None:
    session = world.into(S.RUNNING)
    world.into(S.READY)

    table, document = run("agent", "show", "a1"), run("agent", "show", "a1", "-o", "json")

    assert session in table.out
    assert [session] == document.json["sessions"]


def test_draining_and_undraining(world: World, run: Run) -> None:
    assert "a1 gets nothing new\n" == run("agent", "drain", "a1").out
    assert world.agents.get("a1").drained
    world.mailbox().beat(world.boots["a1"], 60_000, claims=0, running=[])
    assert "ready, drained" in run("agent", "list").out

    assert "a1 gets work again\n" == run("agent", "undrain", "a1").out
    assert not world.agents.get("a1").drained


def test_an_operator_says_that_an_agent_is_lost(world: World, run: Run) -> None:
    said = run("agent", "lost", "a1")

    assert 0 == said.code
    assert "lost" in {
        e.fields["kind"] for e in world.leader.listen("0-0", "0-0", timeout=0.01).inbox
    }


def test_one_that_beats_is_lost_only_by_force(world: World, run: Run) -> None:
    world.mailbox().beat(world.boots["a1"], 60_000, claims=0, running=[])
    before = contents(world.client)
    refused = run("agent", "lost", "a1")
    after = contents(world.client)

    assert (4, "", 1) == (refused.code, refused.out, refused.err.count("\n"))
    assert "its kernels live, and would run twice; drain or stop it, or `--force` it" in refused.err
    assert before == after
    assert 0 == run("agent", "lost", "a1", "--force").code


def test_an_agent_that_is_there_is_not_removed(world: World, run: Run) -> None:
    said = run("agent", "remove", "a1")

    assert (4, "") == (said.code, said.out)
    assert said.err.startswith("Agent a1 still beats or runs kernels")
    assert ["a1"] == world.agents.ids("default")


def test_an_agent_that_is_gone_is_removed(world: World, run: Run) -> None:
    world.apply(m.Mark("a1", world.boots["a1"], "lost", "silent"))

    assert (0, "a1 is removed\n") == _out(run("agent", "remove", "a1"))
    assert [] == world.agents.ids("default")


@pytest.mark.parametrize("verb", ["show", "drain", "undrain", "lost", "remove"])
@pytest.mark.parametrize("agent", ["nosuch", "x:beat", ""])
def test_an_unknown_agent_is_not_found(world: World, run: Run, verb: str, agent: str) -> None:
    _ = world

    said = run("agent", verb, agent)

    assert (3, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert "is not known here; `scheduler agent list` shows those that are" in said.err


def test_a_list_without_agents_names_the_way_to_one(world: World, run: Run) -> None:
    world.groups.configure("empty", {})

    said = run("agent", "list", "--group", "empty")

    assert (0, "") == (said.code, said.out)
    assert "scheduler agent run" in said.err


def test_the_leader_is_shown(world: World, run: Run) -> None:
    world.groups.configure("idle", {})

    table, document = run("leader", "show"), run("leader", "show", "-o", "json")

    assert ["default", "replica", str(world.leader.term.number)] == table.rows[1][:3]
    assert ["idle", "nobody", "0"] == table.rows[2]
    assert [True, False] == [facts["leads"] for facts in document.json]


def test_a_leader_whose_lock_is_gone_leads_no_more(world: World, run: Run) -> None:
    world.client.delete(world.keys.lock("default"))

    (facts,) = run("leader", "show", "--group", "default", "-o", "json").json

    assert (False, "", world.leader.term.number) == (facts["leads"], facts["holder"], facts["term"])


def test_a_leader_is_asked_to_resign(world: World, run: Run) -> None:
    said = run("leader", "resign")

    assert (0, f"replica was asked to end term {world.leader.term.number}\n") == (
        said.code,
        said.out,
    )


def test_nobody_can_be_asked_to_resign(world: World, run: Run) -> None:
    world.groups.configure("idle", {})

    assert 4 == run("leader", "resign", "--group", "idle").code
    assert 3 == run("leader", "resign", "--group", "nosuch").code


def test_groups_are_listed_with_what_they_hold(world: World, run: Run) -> None:
    world.into(S.READY)
    world.into(S.RUNNING)
    world.into(S.FAILED)

    table, document = run("group", "list"), run("group", "list", "-o", "json")

    holds = ["1", "0", "1", "1", "1"]
    assert ["default", "open", *holds, "fifo", "concentrated"] == table.rows[1]
    assert (1, 1, 1) == tuple(document.json[0][name] for name in ("waiting", "placed", "ended"))


def test_a_group_that_places_nothing_is_seen_in_the_list(world: World, run: Run) -> None:
    world.groups.pause("default", "the disks are full")
    world.agents.drain("a1")

    table, document = run("group", "list"), run("group", "list", "-o", "json").json[0]

    assert ["paused", "1", "1"] == table.rows[1][1:4]
    assert table.out.rstrip().endswith("the disks are full")
    assert ("the disks are full", 1) == (document["paused"], document["drained"])


def test_a_scope_is_limited_and_freed(world: World, run: Run) -> None:
    scope = Scope("keypair", "k1")

    assert (0, "scope keypair k1: 2 sessions\n") == _out(
        run("scope", "set", "keypair", "k1", "--max-sessions", "2")
    )
    assert 2 == world.scopes.read([scope])[scope].limits.max_sessions

    assert "unlimited" in run("scope", "set", "keypair", "k1", "--max-sessions", "none").out
    assert world.scopes.read([scope])[scope].limits.max_sessions is None


def test_scopes_show_who_holds_them(world: World, run: Run) -> None:
    session = world.into(S.RUNNING, keypair="k1")
    run("scope", "set", "keypair", "k1", "--max-sessions", "2")

    listed, shown = run("scope", "list"), run("scope", "show", "keypair", "k1")

    assert [
        ["global", "global", "1", "0", "cpu", "1"],
        ["keypair", "k1", "1/2", "0", "cpu", "1"],
    ] == listed.rows[1:]
    assert session in shown.out
    assert [session] == run("scope", "show", "keypair", "k1", "-o", "json").json["holders"]
    assert [None, 2] == [s["max_sessions"] for s in run("scope", "list", "-o", "json").json]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["user", "u1", "--max-sessions", "-1"], "a limit is 0 or more"),
        (["user", "u1", "--max-sessions", "many"], "neither a number nor 'none'"),
        (["user", "u1"], "Say which limit, as --max-sessions"),
        (
            ["planet", "earth", "--max-sessions", "1"],
            "Invalid value for 'KIND': 'planet' is none; there are global, domain",
        ),
        (["keypiar", "alice", "--max-sessions", "1"], "'keypiar' is none; did you mean 'keypair'?"),
        (["global", "other", "--max-sessions", "1"], "the one global scope is called 'global'"),
        (["user", "a\nb", "--max-sessions", "1"], "no control characters"),
    ],
)
def test_a_limit_that_makes_no_sense_is_one_sentence(
    world: World, run: Run, words: list[str], says: str
) -> None:
    said = run("scope", "set", *words)

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert [Scope("global", "global")] == world.scopes.known()


def test_all_limits_are_set_shown_and_lifted_in_units(world: World, run: Run) -> None:
    """K6."""
    world.submit(scopes={"user": "u"}, slots={"cpu": "500m", "mem": "2GiB"})
    world.into(S.RUNNING, scopes={"user": "u"}, slots={"cpu": "2", "mem": "1GiB"})
    words = "--max-slots cpu=8,mem=32GiB,cuda=2 --unspecified-slots zero --max-pending 5"
    words += " --max-pending-slots cpu=1.5 --max-sessions 10"

    said = run("scope", "set", "user", "u", *words.split())

    assert (
        "scope user u: 10 sessions, slots cpu 8 cuda 2 mem 32GiB, no other slots, 5 pending,"
        " pending slots cpu 1.5\n" == said.out
    )
    row = "user u 1/10 1/5 cpu 2/8, cuda 0/2, mem 1GiB/32GiB cpu 0.5/1.5, mem 2GiB"
    assert row.split() == run("scope", "list").rows[-1]
    shown = run("scope", "show", "user", "u")
    assert "cpu 2/8, cuda 0/2, mem 1GiB/32GiB" in shown.out
    facts = run("scope", "show", "user", "u", "-o", "json").json
    assert ({"cpu": 8000, "cuda": 2000, "mem": 32768}, {"cpu": 500, "mem": 2048}, "zero") == (
        facts["max_slots"],
        facts["pending_slots"],
        facts["unspecified_slots"],
    )

    lifted = run("scope", "set", "user", "u", "--max-slots", "none", "--max-pending", "none")
    assert "scope user u: 10 sessions, pending slots cpu 1.5\n" == lifted.out
    rest = ["--max-sessions", "none", "--max-pending-slots", "none"]
    assert "scope user u: unlimited\n" == run("scope", "set", "user", "u", *rest).out


@pytest.mark.usefixtures("world")
def test_a_user_is_given_a_main_keypair(run: Run) -> None:
    run("scope", "set", "keypair", "k", "--max-slots", "cpu=4")

    said = run("scope", "set", "user", "u", "--main-keypair", "k")

    assert "scope user u: slots as keypair k\n" == said.out
    assert ["user", "u", "0", "0", "cpu", "0/4"] == run("scope", "list").rows[-1]
    lifted = run("scope", "set", "user", "u", "--main-keypair", "none")
    assert "scope user u: unlimited\n" == lifted.out


@pytest.mark.usefixtures("world")
def test_a_submit_beyond_what_may_wait_is_one_sentence(run: Run) -> None:
    run("scope", "set", "user", "u", "--max-pending", "0")

    said = run("session", "submit", "--callable", "a:b", "--scope", "user=u")

    assert (4, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert "You cannot create more than 0 pending session(s). (user u: 0 of 0 pending)." in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("user u --max-slots cpu=-1", "is not a number with a unit"),
        ("user u --max-slots cpu", "expected NAME=AMOUNT"),
        ("user u --max-slots cpu=1,cpu=2", "cpu is given twice"),
        ("user u --max-slots mem=3Parsec", "unit 'Parsec' of mem is unknown"),
        ("user u --max-slots cuda.device=2", "slot 'cuda.device' is unknown; limits are of cpu"),
        ("user u --max-slots CPU=2", "slot 'CPU' is unknown"),
        ("user u --max-slots cuda=2GiB", "cuda takes no unit"),
        ("user u --max-slots cpu=1e30", "is not a number"),
        ("user u --max-slots cpu=99999999999999999999", "is more than any machine has"),
        ("user u --max-slots ,", "a limit names at least one slot"),
        ("user u --max-slots gpu=2", "no agent offers 'gpu'; did you mean 'cpu'?"),
        ("user u --max-pending-slots cpus=2", "no agent offers 'cpus'; did you mean 'cpu'?"),
        ("user u --max-pending -1", "a limit is 0 or more, got -1"),
        ("user u --max-pending 1.5", "neither a number nor 'none'"),
        ("user u --unspecified-slots maybe", "'maybe' is none; there are unlimited, zero"),
        ("group g --main-keypair k", "only a user has one, and group is none"),
        ("private k --max-slots cpu=1", "private sessions have one limit, max_sessions"),
    ],
)
def test_limits_that_make_no_sense_are_one_sentence_and_nothing_is_written(
    world: World, run: Run, words: str, says: str
) -> None:
    world.apply(m.Reach("default", '[{"cpu":64000,"cuda.device":8,"mem":65536}]', "", ""))

    said = run("scope", "set", *words.split(" "))

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert [Scope("global", "global")] == world.scopes.known()


def _out(said: object) -> tuple[object, ...]:
    return tuple(vars(said).values())[:2]
