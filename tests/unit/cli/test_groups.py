"""Scaling groups on the command line: created, changed, rolled back, paused, deleted."""

from __future__ import annotations

import json

import pytest

from scheduler.domain import moves as m
from scheduler.domain.errors import InvalidSetting
from scheduler.domain.states import SessionState as S
from scheduler.domain.tally import Tally
from scheduler.operations.policy import change_group
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World


def test_a_group_is_created_changed_and_shown(world: World, run: Run) -> None:
    created = run("group", "create", "gpu")
    words = ("--selector", "dispersed", "--grows", "--pending-timeout", "90m", "--max-rescues", "7")
    changed = run("group", "set", "gpu", *words)
    again = run("group", "set", "gpu", "--grows")

    assert [
        "group gpu created\n",
        "group gpu changed, revision 2\n",
        "group gpu unchanged, revision 2\n",
    ] == [said.out for said in (created, changed, again)]
    options = world.groups.get("gpu")
    assert ("dispersed", True, 5_400_000, 7) == (
        options.agent_selector,
        options.grows,
        options.pending_timeout_ms,
        options.max_rescues,
    )
    assert "1h30m" in run("group", "show", "gpu").out
    document = run("group", "show", "gpu", "-o", "json").json
    assert ("dispersed", 2, "") == tuple(
        document[name] for name in ("agent_selector", "revision", "paused")
    )


def test_what_its_cycles_did_is_shown_once_there_were_any(world: World, run: Run) -> None:
    """K15."""
    assert "last cycle" not in run("group", "show", "default").out
    tally = Tally(
        started_at=1_000,
        ended_at=1_012,
        trigger="ready, reports",
        last_placed=3,
        last_refused=1,
        term=7,
        cycles=40,
        placed=90,
        refused=12,
        causes={"concurrency": 2, "agents": 10},
        triggers={"ready": 39, "sweep": 1},
        busy_us=1_500_000,
        p50_us=2_500,
        p99_us=11_000,
    )
    world.apply(m.Count("default", tally.as_fields()))

    shown = run("group", "show", "default")
    document = run("group", "show", "default", "-o", "json").json["cycles"]

    for line in (
        "last cycle       1970-01-01T00:00:01Z, 12 ms, after ready, reports: 3 placed, 1 refused (term 7)",
        "cycles           40, after ready 39, sweep 1",
        "cycle time       p50 2.5 ms, p99 11.0 ms, all 1.5 s",
        "placed           90",
        "refused          12 by agents 10, concurrency 2",
    ):
        assert line in shown.out
    assert (40, {"agents": 10, "concurrency": 2}) == (document["cycles"], document["causes"])


def test_who_gets_reservations_is_an_option_of_the_group(world: World, run: Run) -> None:
    """X6."""
    run("group", "create", "gpu")

    changed = run("group", "set", "gpu", "--backfill", "conservative")

    assert (0, "conservative") == (changed.code, world.groups.get("gpu").backfill)
    assert "backfill: easy > conservative" in run("group", "history", "gpu").out
    assert 2 == run("group", "set", "gpu", "--backfill", "x").code
    with pytest.raises(InvalidSetting, match="'x' is unknown; there are easy, conservative, none"):
        change_group(world.groups, "gpu", {"backfill": "x"})


def test_a_pending_timeout_can_be_taken_back(world: World, run: Run) -> None:
    run("group", "set", "default", "--pending-timeout", "1h")
    run("group", "set", "default", "--pending-timeout", "none", "--no-grows")

    assert world.groups.get("default").pending_timeout_ms is None


def test_a_change_that_proved_wrong_is_taken_back(world: World, run: Run) -> None:
    """K17."""
    run("group", "set", "default", "--selector", "dispersed", "--max-rescues", "9")
    run("group", "set", "default", "--pending-timeout", "1h")

    assert "group default is back to revision 1, as revision 4\n" == (
        run("group", "rollback", "default", "1").out
    )

    assert ("concentrated", 3, None) == (
        (now := world.groups.get("default")).agent_selector,
        now.max_rescues,
        now.pending_timeout_ms,
    )
    said = run("group", "history", "default")
    assert ["4", "3", "2", "1"] == [row[0] for row in said.rows[1:]]
    assert "back to revision 1" in said.out
    assert "agent_selector: concentrated > dispersed, max_rescues: 3 > 9" in said.out
    documents = run("group", "history", "default", "-o", "json").json
    assert [None, 3_600_000] == [d["options"]["pending_timeout_ms"] for d in documents[:2]]


def test_a_hundred_revisions_are_kept(world: World, run: Run) -> None:
    for rescues in range(4, 108):
        world.groups.configure("default", {"max_rescues": rescues})

    kept = [then.revision for then in world.groups.history("default")]

    assert list(range(105, 5, -1)) == kept
    said = run("group", "rollback", "default", "1")
    assert (3, 105) == (said.code, world.groups.read("default").revision)
    assert "has no revision 1" in said.err


def test_a_change_of_what_somebody_else_changed_is_refused(world: World, run: Run) -> None:
    """W9."""
    run("group", "set", "default", "--max-rescues", "9")

    said = run("group", "set", "default", "--max-rescues", "4", "--revision", "1")

    assert (4, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert "is at revision 2, not 1" in said.err
    assert 9 == world.groups.get("default").max_rescues


def test_a_paused_group_says_why(world: World, run: Run) -> None:
    session = world.into(S.READY)

    assert "group default paused\n" == run("group", "pause", "default", "--why", "new disks").out
    assert "group default was paused already\n" == (
        run("group", "pause", "default", "--why", "new disks").out
    )

    assert "new disks" in run("group", "show", "default").out
    said = run("session", "explain", session).out
    assert "group default is paused: new disks" in said
    assert "scheduler group resume default" in said
    assert "group default resumed\n" == run("group", "resume", "default").out
    assert "group default was not paused\n" == run("group", "resume", "default").out
    assert "is paused" not in run("session", "explain", session).out


def test_only_an_empty_group_is_deleted(world: World, run: Run) -> None:
    world.into(S.READY)
    run("group", "create", "idle")

    said = run("group", "delete", "default")

    assert (4, "") == (said.code, said.out)
    assert "cannot be deleted: it has 1 agents, 1 leader, 1 sessions READY" in said.err
    assert "group idle deleted\n" == run("group", "delete", "idle").out
    assert ["default"] == world.groups.names()


def test_a_group_is_deleted_with_the_sessions_that_ended_in_it(world: World, run: Run) -> None:
    run("group", "create", "gpu")
    ended = [world.submit(group="gpu") for _ in range(3)]
    for session in ended:
        world.sessions.cancel(session)

    said = run("group", "delete", "gpu")
    assert (4, "") == (said.code, said.out)
    assert "has 3 ended sessions on record; deleting it with `--forget` forgets them" in said.err

    assert "group gpu deleted\n" == run("group", "delete", "gpu", "--forget").out
    assert ["default"] == world.groups.names()
    assert [] == world.sessions.many(ended)


def test_a_group_whose_sessions_others_wait_for_stays(world: World, run: Run) -> None:
    run("group", "create", "gpu")
    parent = world.submit(group="gpu")
    world.submit(depends_on=(parent,))
    tried = json.dumps({"attempt": 1, "agents": ["a1"], "started_at": 1, "placement": "p"})
    world.client.hset(world.keys.session(parent), items=["state", S.FAILED, "history:1", tried])
    log = world.keys.log("a1", f"{parent}-0-p")
    world.client.xadd(log, {"stream": "stdout", "text": "why it failed"})
    world.client.zrem(world.keys.state("gpu", S.READY), parent)
    world.client.zadd(world.keys.state("gpu", S.FAILED), {parent: 1})

    said = run("group", "delete", "gpu", "--forget")

    assert (4, "") == (said.code, said.out)
    assert "other sessions wait for 1 of its ended ones" in said.err
    assert world.client.exists(log), "what is kept keeps its log"
    assert "gpu" in world.groups.names()


def test_a_group_made_again_never_repeats_a_term(world: World, run: Run) -> None:
    """X1: what the first one's leader still has in hand fits no term of the second."""
    run("group", "create", "twice")
    first = world.lead("twice")
    world.leadership.resign(first.term, "done")
    world.client.delete(world.keys.lock("twice"))
    run("group", "delete", "twice")

    run("group", "create", "twice")

    assert world.lead("twice").term.number > first.term.number


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scheduler", "nosuch"], "There is no scheduler named 'nosuch'; installed are: "),
        (["--selector", "nosuch"], "There is no agent selector named 'nosuch'; installed are: "),
        (["--scheduler-opt", "speed=9"], "'speed'"),
        (["--selector-opt", "speed=9"], "'speed'"),
        (["--scheduler-opt", "speed"], "is not of the form NAME=VALUE"),
        (["--pending-timeout", "soon"], "it must be a duration such as 30s"),
        (["--max-rescues", "-1"], "-1"),
    ],
)
@pytest.mark.parametrize("verb", [["create", "gpu"], ["set", "default"]])
def test_an_option_that_makes_no_sense_is_refused(
    world: World, run: Run, verb: list[str], words: list[str], says: str
) -> None:
    """K1."""
    said = run("group", *verb, *words)

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert ["default"] == world.groups.names()
    assert 1 == world.groups.read("default").revision


def test_a_revision_whose_plugin_is_gone_is_not_gone_back_to(world: World, run: Run) -> None:
    world.groups.configure("default", {"scheduler": "astrology"})
    world.groups.configure("default", {"scheduler": "fifo"})

    said = run("group", "rollback", "default", "2")

    assert 2 == said.code
    assert "There is no scheduler named 'astrology'" in said.err
    assert "fifo" == world.groups.get("default").scheduler


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["set"],
        ["history"],
        ["rollback", "1"],
        ["pause"],
        ["resume"],
        ["delete"],
    ],
)
def test_an_unknown_group_is_not_found(world: World, run: Run, words: list[str]) -> None:
    verb, *rest = words

    said = run("group", verb, "nosuch", *rest)

    assert (3, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert ["default"] == world.groups.names()


def test_a_group_is_not_created_twice_or_without_a_name(world: World, run: Run) -> None:
    taken, nameless = run("group", "create", "default"), run("group", "create", "no such")

    assert (4, 2) == (taken.code, nameless.code)
    assert "exists already" in taken.err
    assert 1 == world.groups.read("default").revision


def test_a_reason_to_pause_is_a_line(world: World, run: Run) -> None:
    assert 2 == run("group", "pause", "default", "--why", "a\nb").code
    assert 2 == run("group", "pause", "default", "--why", "").code
    assert "" == world.groups.read("default").paused


def test_shares_are_listed_in_the_order_of_the_groups_scheduler(world: World, run: Run) -> None:
    """K2: operators ask why alice is first."""
    for owner, cores in (("bob", 32), ("alice", 16), ("carol", 4)):
        session = world.into(S.RUNNING, scopes={"user": owner}, slots={"cpu": str(cores)})
        world.client.hset(world.keys.session(session), "placed_at", "1")
    world.end(session)

    by_share = run("group", "shares", "default")
    run("group", "set", "default", "--scheduler", "drf", "--scheduler-opt", 'weights={"bob": 4}')
    by_drf = run("group", "shares", "default")
    run("group", "set", "default", "--scheduler", "fair-share", "--scheduler-opt", "half_life=1d")
    by_use = run("group", "shares", "default", "-o", "json").json

    assert [["bob", "cpu=32", "0.5000"], ["alice", "cpu=16", "0.2500"]] == by_share.rows[1:]
    assert [["bob", "cpu=32", "0.5000", "4"], ["alice", "cpu=16", "0.2500", "1"]] == (
        by_drf.rows[1:]
    )
    assert ["carol", "alice", "bob"] == [row["owner"] for row in by_use]
    assert {"weight", "use", "factor"} == by_use[0]["facts"].keys()
    assert 0 < by_use[2]["facts"]["factor"] < by_use[0]["facts"]["factor"] < 1


def test_an_option_of_a_scheduler_that_makes_no_sense_changes_nothing(
    world: World, run: Run
) -> None:
    """K1, K2."""
    words = ("group", "set", "default", "--scheduler", "fair-share", "--scheduler-opt")

    said = run(*words, "half_life=soon")
    unknown = run(*words, "colour=red")

    assert "option 'half_life' of fair-share: it must be a duration such as 30s" in said.err
    assert "fair-share has no option 'colour'" in unknown.err
    assert ("fifo", {}) == (
        (now := world.groups.get("default")).scheduler,
        now.scheduler_opts,
    )


@pytest.mark.usefixtures("world")
def test_a_group_of_which_nobody_holds_anything_says_so(run: Run) -> None:
    assert "Nobody holds anything of group default." in run("group", "shares", "default").err
