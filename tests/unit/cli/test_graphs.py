"""``scheduler graph``, and what the client and the resolver say of graphs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from scheduler.bootstrap import open_store
from scheduler.client import Client
from scheduler.domain.errors import WaitTimeout
from scheduler.domain.graph import GraphJob, GraphSpec
from scheduler.domain.office import office_scopes
from scheduler.domain.spec import SessionSpec
from scheduler.jobs.dependency_resolver import DependencyResolver
from scheduler.operations.graphs import read_graph
from scheduler.settings import load
from tests.unit.cli.conftest import Run
from tests.unit.store.graph_words import NO_GRAPH, graph_of, shown
from tests.unit.store.lives import NOBODY, S, World, contents

DIAMOND = """
name: nightly
jobs:
  - {name: a, callable: "jobs:noop"}
  - {name: b, callable: "jobs:noop", needs: [a]}
  - {name: c, callable: "jobs:noop", needs: {a: hold}}
  - {name: d, callable: "jobs:noop", needs: [b, c]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.yaml"
    path.write_text(DIAMOND)
    return path


@pytest.fixture
def client(redis_client: redis.Redis, world: World) -> Client:
    """A client of the test's namespace."""
    made = Client.__new__(Client)
    made.store = open_store(load(namespace=world.keys.root), redis_client)
    made._may_write = True
    return made


def end(world: World, session: str, state: S = S.SUCCEEDED) -> None:
    world.place(session)
    world.start(session)
    world.end(session, state)
    world.resolve_all()


def test_a_graph_is_submitted_drawn_listed_and_cancelled(
    world: World, run: Run, file: Path
) -> None:
    """J1."""
    graph = run("graph", "submit", str(file)).out.strip()
    world.resolve_all()
    jobs = run("graph", "show", graph, "-o", "json").json["members"]
    end(world, jobs[0]["id"], S.FAILED)

    drawn = run("graph", "show", graph)

    assert "jobs       4 (1 PENDING, 1 FAILED, 2 CANCELLED)" in drawn.out
    tree = drawn.out[drawn.out.index("nightly\n└") :].splitlines()
    assert "└── a  FAILED  (why: error)" == tree[1]
    assert tree[2].startswith("    ├── b  CANCELLED  (dependency")
    assert tree[3].startswith("    │   └── d  CANCELLED  (also needs c; dependency")
    assert tree[4].startswith("    └── c  PENDING  (hold, held; held: dependency")
    assert "        └── d (see above)" == tree[5]
    listed = run("graph", "list").rows[1]
    assert [graph, "nightly", "default", "4"] == listed[:4]
    assert "1" == run("graph", "cancel", graph).out.strip()
    assert 0 == run("graph", "list", "-o", "json").code


def test_of_a_large_graph_the_first_are_drawn_and_the_rest_is_counted(
    world: World, run: Run
) -> None:
    graph, _ = shown(world, graph_of({f"n{i}": [f"n{i - 1}"] if i else [] for i in range(30)}))

    out = run("graph", "show", graph, "--limit", "10").out

    assert "n9  PENDING" in out
    assert "n10" not in out
    assert "... and 20 more" in out


def test_json_comes_from_stdin_or_a_file(world: World, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"jobs": [{"name": "a", "command": ["true"]}]}))

    said = run("graph", "submit", str(path), "-o", "json")

    assert ["a"] == list(said.json["jobs"])
    assert S.PENDING is world.state(said.json["jobs"]["a"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jobs: [", "neither YAML nor JSON"),
        ("{", "neither YAML nor JSON"),
        ("", "a graph must be a mapping, got None"),
        ("jobs: [{name: a, callable: 'a:b', needs: [a]}]", "in a circle: a -> a"),
    ],
)
def test_a_file_that_makes_no_sense_writes_nothing(
    world: World, run: Run, tmp_path: Path, text: str, says: str
) -> None:
    """J1, K20."""
    path = tmp_path / "graph.yaml"
    path.write_text(text)
    before = contents(world.client)

    said = run("graph", "submit", str(path))

    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))
    assert says in said.err
    assert before == contents(world.client)


def test_what_is_not_there_is_not_found(world: World, run: Run) -> None:
    for words in (("show", NO_GRAPH), ("cancel", NO_GRAPH), ("show", "x:y")):
        assert 3 == run("graph", *words).code
    assert 2 == run("graph", "submit", "-", "--timeout", "1s").code
    assert not world.graphs.newest(10)


def test_a_graph_that_is_not_over_in_time_is_no_failure(
    run: Run, world: World, tmp_path: Path
) -> None:
    _ = world
    path = tmp_path / "graph.json"
    path.write_text('{"jobs": [{"name": "a", "command": ["true"]}]}')

    said = run("graph", "submit", str(path), "--wait", "--timeout", "10ms")

    assert (124, True) == (said.code, "did not end within 0.01 s" in said.err)


def test_a_held_session_says_why_and_is_released(world: World, run: Run) -> None:
    """J1."""
    parent = world.submit()
    child = run("session", "submit", "--depends-on", f"{parent}=hold", "--", "true").out.strip()
    end(world, parent, S.FAILED)

    why = run("session", "explain", child).out
    assert "Held by dependency sessions that did not end as success" in why
    assert f"scheduler session release {child}" in why
    assert child == run("session", "release", child).out.strip()

    assert S.READY is world.state(child)
    again = run("session", "release", child)
    assert (4, True) == (again.code, "release works only in PENDING" in again.err)


def test_a_client_submits_a_graph_and_waits_for_it(client: Client, world: World) -> None:
    """J1."""
    spec = SessionSpec(callable="jobs:noop")
    graph = client.submit_graph(GraphSpec(jobs=[GraphJob(name="a", spec=spec)], name="one"))
    world.resolve_all()
    assert [S.READY] == [job.state for job in graph.jobs.values()]
    with pytest.raises(WaitTimeout):
        graph.wait(0)

    end(world, graph.jobs["a"].id)

    assert {S.SUCCEEDED: 1} == graph.wait(60)
    assert ("one", {"SUCCEEDED": 1}) == (graph.show().name, graph.show().counts)
    assert 0 == client.graph(graph.id).cancel()


def test_a_handle_may_stand_for_what_it_depends_on(client: Client, world: World) -> None:
    parent = client.enqueue("jobs:noop")
    child = client.enqueue("jobs:noop", depends_on={parent: "hold"})

    assert {parent.id: "unmet hold"} == world.sessions.parents(child.id)


def test_the_resolver_tells_what_of_an_office_is_ready(client: Client, world: World) -> None:
    """J1."""
    world.office()
    late = world.submit(scopes=office_scopes("o"))
    first = world.submit(scopes=office_scopes("o"), priority=50)
    world.submit(scopes=office_scopes("o"), depends_on=[late])
    world.submit()

    resolver = DependencyResolver(client.store)

    assert [first, late] == [job.id for job in resolver.get_ready_jobs("o")]
    assert [first] == [job.id for job in resolver.get_ready_jobs("o", limit=1)]
    assert [] == resolver.get_ready_jobs("p")


def test_a_graph_of_an_office_has_its_scopes(client: Client, world: World) -> None:
    world.office()
    graph = client.submit_graph({"office": "o", "jobs": [{"name": "a", "callable": "jobs:noop"}]})
    world.resolve_all()

    assert [graph.jobs["a"].id] == [
        j.id for j in DependencyResolver(client.store).get_ready_jobs("o")
    ]
    assert "o" == read_graph(client.store, graph.id).office


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("agents: [a9], agents_strict: true", "group 'default' has no agent a9"),
        ("cluster_mode: nonsense", "There is no cluster mode named 'nonsense'"),
        (f'depends_on: ["{NOBODY}"]', f"it depends on {NOBODY}"),
    ],
)
def test_what_a_job_names_that_is_not_there_is_said_of_that_job(
    world: World, run: Run, tmp_path: Path, asked: str, says: str
) -> None:
    file = tmp_path / "graph.yaml"
    job = f'- {{name: train, callable: "jobs:noop", {asked}}}'
    file.write_text(f'jobs:\n  - {{name: fetch, callable: "jobs:noop"}}\n  {job}\n')
    before = contents(world.client)

    refused = run("graph", "submit", str(file))

    assert (True, before) == (refused.code > 0, contents(world.client))
    assert f"The graph was not submitted: job 'train': {says}" in refused.err
