"""Graphs at random: order is kept, everything ends as its edges say, and nothing is READY too early."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from random import Random
from uuid import uuid4

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.graph import detect_cycle, execution_order
from scheduler.store.keys import Keys
from tests.unit.store.graph_words import graph_of, shown
from tests.unit.store.lives import K, S, World

P = EdgePolicy
Edges = Mapping[str, Mapping[str, P]]


class Job:
    """A node of the pure half."""

    def __init__(self, name: str, needs: list[str]) -> None:
        self.name, self.needs = name, needs


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30))
def test_either_there_is_an_order_or_a_cycle(pairs: list[tuple[int, int]]) -> None:
    """J1."""
    needs: dict[str, list[str]] = {f"n{n}": [] for n in range(13)}
    for child, parent in dict.fromkeys(pairs):
        needs[f"n{child}"].append(f"n{parent}")
    jobs = [Job(name, theirs) for name, theirs in needs.items()]
    cycle = detect_cycle(jobs)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(below in needs[name] for name, below in pairwise(cycle))
        return
    groups = execution_order(jobs)
    place = {name: number for number, group in enumerate(groups) for name in group}
    assert place.keys() == needs.keys()
    for name, theirs in needs.items():
        # As early as its last parent lets it.
        assert place[name] == max((place[parent] + 1 for parent in theirs), default=0)


def expected(edges: Edges, fails: set[str]) -> dict[str, S]:
    """How each job ends; PENDING is held, or below what is held."""
    found: dict[str, S] = {}
    for name, needs in edges.items():
        bad = {
            policy for parent, policy in needs.items() if found[parent] in (S.FAILED, S.CANCELLED)
        }
        if P.CANCEL in bad:
            found[name] = S.CANCELLED
        elif P.HOLD in bad or any(found[parent] is S.PENDING for parent in needs):
            found[name] = S.PENDING
        else:
            found[name] = S.FAILED if name in fails else S.SUCCEEDED
    return found


@pytest.fixture
def world() -> World:
    """A namespace on the fast server: scripts are the same."""
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    return World(client, Keys(f"t{uuid4().hex[:8]}"))


@pytest.mark.parametrize("seed", range(25))
def test_a_graph_ends_as_its_edges_say(world: World, seed: int) -> None:
    """J1."""
    edges = _example(seed)
    random = Random(seed)  # noqa: S311 - the same each time
    fails = {name for name in edges if random.random() < 0.4}
    _, jobs = shown(world, graph_of(edges))
    names = {session: name for name, session in jobs.items()}

    def run() -> None:
        """Whatever is READY ends, in any order, until nothing is."""
        while ready := [s for s in jobs.values() if world.state(s) is S.READY]:
            session = random.choice(ready)
            _fits(world, edges, jobs, names[session])
            world.place(session)
            if names[session] in fails:
                world.start(session)
                world.end(session, S.FAILED)
            else:
                world.advance(session, K.ORDERED)
            world.resolve_all()

    run()
    assert expected(edges, fails) == {name: world.state(jobs[name]) for name in edges}

    while held := [s for s in jobs.values() if world.get(s).reason.startswith("held")]:
        world.sessions.release(held[0])
        run()
    assert S.PENDING not in {world.state(session) for session in jobs.values()}


def _example(seed: int) -> Edges:
    """A graph by a number, so that each has a world of its own."""
    random = Random(seed)  # noqa: S311
    names = [f"n{number}" for number in range(random.randint(1, 9))]
    found: dict[str, dict[str, P]] = {}
    for place, name in enumerate(names):
        parents = random.sample(names[:place], min(place, random.randint(0, 3)))
        found[name] = {p: random.choice([P.CANCEL, P.CANCEL, P.IGNORE, P.HOLD]) for p in parents}
    return found


def _fits(world: World, edges: Edges, jobs: Mapping[str, str], name: str) -> None:
    """Nothing is READY before its parents ended, each as its edge demands; or was released from it."""
    for parent, policy in edges[name].items():
        state = world.state(jobs[parent])
        assert state in (S.SUCCEEDED, S.FAILED, S.CANCELLED)
        assert state is S.SUCCEEDED or policy is not P.CANCEL
