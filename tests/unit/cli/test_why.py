"""``scheduler session explain --agents`` and ``why-not``."""

from __future__ import annotations

import pytest

from scheduler.domain import moves as m
from scheduler.domain.agent import AgentStatus
from scheduler.domain.scope import GLOBAL, ScopeLimits
from scheduler.domain.states import SessionState as S
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import NOBODY, World


def test_agents_are_told_nearest_miss_first(world: World, run: Run) -> None:
    """X3."""
    session = world.submit(slots={"cpu": "2", "mem": "6GiB"})
    world.admit("a2", capacity={"cpu": 4_000, "mem": 4_096})
    world.admit("a7", capacity={"cpu": 4_000, "mem": 5_120})
    world.agents.drain("a1")

    table = run("session", "explain", session, "--agents")
    found = run("session", "explain", session, "--agents", "-o", "json").json["agents"]

    assert ["a7", "a2", "a1"] == [agent["agent"] for agent in found]
    assert (
        "agent a7 lacks mem 1 GiB (asked 6 GiB, free 5 GiB of 5 GiB; too small even when idle)"
        in table.out
    )
    assert "a1 1/1 agent a1 is drained it is undrained:" == " ".join(table.rows[-1][:9])


def test_agents_are_told_only_if_asked_and_at_most_so_many(world: World, run: Run) -> None:
    session = world.submit()
    world.admit("a2")

    assert [] == run("session", "explain", session, "-o", "json").json["agents"]
    one = run("session", "explain", session, "--agents", "--limit", "1", "-o", "json")
    assert ["a1"] == [agent["agent"] for agent in one.json["agents"]]


def test_why_not_names_the_session_that_is_in_the_way(world: World, run: Run) -> None:
    """X3: the smallest change."""
    world.admit("a7", capacity={"cpu": 4_000, "mem": 8_192})
    running = world.submit(slots={"cpu": "1", "mem": "6GiB"}, agents=["a7"])
    world.place(running, ["a7"])
    session = world.submit(slots={"cpu": "1", "mem": "6GiB"})

    said = run("session", "why-not", session, "a7")
    document = run("session", "why-not", session, "a7", "-o", "json").json

    assert (
        "agent a7 lacks mem 4 GiB (asked 6 GiB, free 2 GiB of 8 GiB)\n"
        "\nIt would have room there when\n"
        f"  session {running} ends, which holds cpu 1, mem 6 GiB there\n"
        "\nit would fit there if the agent were idle\n"
    ) == said.out
    assert (4_096, [f"session {running} ends, which holds cpu 1, mem 6 GiB there"]) == (
        document["obstacles"][0]["short"],
        document["changes"],
    )


def test_why_not_tells_what_keeps_it_from_every_agent(world: World, run: Run) -> None:
    world.scopes.limit(GLOBAL, ScopeLimits(0))
    session = world.submit()

    said = run("session", "why-not", session, "a1")

    assert said.out.startswith(
        "agent a1 has room for it now, but You cannot run more than 0 concurrent sessions"
    )
    assert ["concurrency", "global", "global", "sessions", "0", "1", "0", "1"] in said.rows


def test_why_not_counts_kernels_where_the_agent_limits_them(world: World, run: Run) -> None:
    world.admit("a7", fields=["max_kernels", "1"])
    running = world.submit()
    world.place(running, ["a7"])
    session = world.submit()

    said = run("session", "why-not", session, "a7").out
    first, second = run("session", "explain", session, "--agents", "-o", "json").json["agents"]

    assert said.startswith("agent a7 takes at most 1 kernel, runs 1, and is asked for 1 more")
    assert (["a1", "a7"], []) == ([first["agent"], second["agent"]], first["obstacles"])


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (S.RUNNING, "agent a1 is not asked: it is RUNNING on a1"),
        (S.SUCCEEDED, "agent a1 is not asked: it ended SUCCEEDED"),
    ],
)
def test_a_session_that_does_not_wait_is_told_as_such(
    world: World, run: Run, state: S, says: str
) -> None:
    session = world.into(state)

    assert run("session", "why-not", session, "a1").out.startswith(says)
    assert [] == run("session", "explain", session, "--agents", "-o", "json").json["agents"]


def test_an_agent_of_another_group_is_told_as_such(world: World, run: Run) -> None:
    world.groups.configure("other", {})
    session = world.submit(group="other")

    said = run("session", "why-not", session, "a1").out

    assert said.startswith("agent a1 is of group default, the session of group other\n")


def test_a_session_whose_request_is_gone_is_told_as_such(world: World, run: Run) -> None:
    session = world.submit()
    world.client.delete(world.keys.request(world.get(session).request.id))

    assert "is gone from Redis" in run("session", "why-not", session, "a1").out
    assert [] == run("session", "explain", session, "--agents", "-o", "json").json["agents"]


def test_an_agent_that_is_silent_says_so(world: World, run: Run) -> None:
    world.apply(m.Mark("a1", world.boots["a1"], AgentStatus.NOT_READY, "its beats stopped"))
    session = world.submit()

    assert "agent a1 is not-ready" in run("session", "why-not", session, "a1").out


def test_unknown_sessions_and_agents_are_not_found(world: World, run: Run) -> None:
    session = world.submit()

    assert [3, 3, 3] == [
        run("session", "why-not", *words).code
        for words in ((NOBODY, "a1"), (session, "a9"), (session, "no name"))
    ]


def test_numbers_of_a_refusal_are_in_the_units_of_its_sentence(world: World, run: Run) -> None:
    """X3: used, requested, limit, over by; for machines as they are counted."""
    world.scopes.limit(GLOBAL, ScopeLimits(max_slots={"cpu": 1_000, "mem": 1_024}))
    session = world.submit(slots={"cpu": "1500m", "mem": "3GiB"})

    table = run("session", "explain", session)
    found = run("session", "explain", session, "-o", "json").json["refusals"][0]["numbers"]

    assert "cpu used 0, requested 1.5, limit 1, over by 0.5" in table.out
    numbers = [" ".join(row) for row in table.rows if row[1:3] == ["global", "global"]]
    rule = "scope-resource-limit global global"
    assert [f"{rule} cpu 0 1.5 1 0.5", f"{rule} mem 0MiB 3GiB 1GiB 2GiB"] == numbers
    assert [("cpu", 1_500, 500), ("mem", 3_072, 2_048)] == [
        (number["slot"], number["requested"], number["over"]) for number in found
    ]
