"""One move for several steps of a kernel writes what those steps write one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.domain import moves as m
from scheduler.domain.office import office_scopes
from scheduler.domain.states import FINAL
from tests.unit.store.lives import GROUP, K, S, World

STEPS = (K.ORDERED, K.CLAIMED, K.UP, K.ENDED)
#: Every stretch of a life: where it begins and where it ends.
STRETCHES = [(begins, ends) for at, begins in enumerate(STEPS[:-1]) for ends in STEPS[at + 1 :]]
#: Fields of records and events that hold a moment, an id or a number of their own.
_ITS_OWN = (
    "at",
    "session",
    "placement",
    "seq",
    "submitted_at",
    "placed_at",
    "running_at",
    "ended_at",
    "cancelled_at",
)


def moves(world: World, session: str, begins: K, ends: K, result: str) -> list[m.Move]:
    """The same, one by one."""
    placement, agents = world._placement(session)
    steps: list[tuple[K, list[m.Move]]] = [
        (K.CLAIMED, [m.Claim(session, placement, 0, agents, 60_000, 1_800_000)]),
        (K.UP, [m.Up(session, placement, 0, 1, 1_802_000)]),
        (
            K.ENDED,
            [
                m.Over(session, placement, 0, "0", "", "exited", "", result),
                m.Finish(session, placement, "end", str(S.SUCCEEDED), "", "", "", 0, 0, 0),
            ],
        ),
    ]
    between = STEPS[STEPS.index(begins) + 1 : STEPS.index(ends) + 1]
    return [move for step, found in steps if step in between for move in found]


def prepare(world: World, begins: K, **asked: Any) -> str:
    """A session whose kernel is in a state, with someone who waits for it."""
    if "acme" not in world.offices.names():
        world.office("acme", max_concurrent_jobs=1000, roles=["builder"])
    given = {"scopes": office_scopes("acme", "builder"), "callback": "https://ci.example.org/x"}
    session = world.submit(keypair="k", **(given | asked))
    world.submit(depends_on=[session])
    world.place(session)
    if begins is not K.ORDERED:
        world.start(session, up=begins is K.UP)
    return session


def seen(world: World, session: str, last: str) -> dict[str, Any]:
    """What is known of a session and of what it held, without what differs from any other."""
    record = {k: v for k, v in world.record(session).items() if k not in _ITS_OWN}
    rows = {k: json.loads(record.pop(k)) for k in list(record) if k.startswith("history:")}
    for row in rows.values():
        row["ran_for"] = row.pop("deadline", 0) - row.pop("started_at")
        row["ended_at"] = row.get("ended_at") is not None
        assert row.pop("placement") == world.get(session).placement
    keys, client = world.keys, world.client
    return {
        "record": record,
        "rows": rows,
        "moments": sorted(k for k in _ITS_OWN if k in world.record(session)),
        "events": [
            (e.name, {k: v for k, v in e.fields.items() if k not in _ITS_OWN})
            for e in world.events.since(last)
        ],
        "result": client.get(keys.result(session)),
        "members": client.sismember(keys.scope_members("keypair", "k"), session),
        "states": [s for s in S if client.zscore(keys.state(GROUP, s), session) is not None],
        "job": [
            s for s in S if session in dict(world.jobs.newest("acme", "builder", [s], None, 1000))
        ],
        "timer": client.zscore(keys.timers(GROUP), session) is not None,
        "resolve": client.zscore(keys.resolve(GROUP), session) is not None,
    }


def free(world: World) -> dict[str, int]:
    """What the agent has free."""
    return dict(world.agents.get("a1").free)


def both(
    world: World, ours: str, theirs: str, stretch: tuple[K, K], result: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is seen after the one move, and after the many."""
    found = []
    begins, ends = stretch
    for session, at_once in ((ours, True), (theirs, False)):
        last, held = world.events.last_id(), free(world)
        if at_once:
            world.advance(session, begins, ends, result=result)
        else:
            world.apply(*moves(world, session, begins, ends, result))
        freed = {slot: amount - held[slot] for slot, amount in free(world).items()}
        found.append(seen(world, session, last) | {"freed": freed})
    return found[0], found[1]


@pytest.mark.parametrize("stretch", STRETCHES)
@pytest.mark.parametrize("result", ["", '{"x":1}'])
def test_it_writes_what_the_steps_write(world: World, stretch: tuple[K, K], result: str) -> None:
    """K11, K12."""
    begins, ends = stretch
    ours, theirs = prepare(world, begins), prepare(world, begins)

    at_once, one_by_one = both(world, ours, theirs, stretch, result if ends is K.ENDED else "")

    assert one_by_one == at_once
    assert STEPS.index(ends) - STEPS.index(begins) == len(
        [name for name, _ in at_once["events"] if name.startswith("session.")]
    )


@pytest.mark.parametrize("state", [S.PREPARING, S.RUNNING, S.TERMINATING, *sorted(FINAL)])
@pytest.mark.parametrize("stretch", STRETCHES)
def test_where_it_was_not_decided_from_what_is_each_step_guards_itself(
    world: World, stretch: tuple[K, K], state: S
) -> None:
    """K11."""
    ours, theirs = world.into(state), world.into(state)

    at_once, one_by_one = both(world, ours, theirs, stretch)

    assert one_by_one == at_once


def test_a_session_with_more_kernels_does_not_end_with_one_of_them(world: World) -> None:
    """Nobody decides so; the script would see it."""
    session = world.into(S.RUNNING, cluster_size=2)

    assert world.advance(session, K.UP) == "alive"

    assert S.RUNNING is world.state(session)
