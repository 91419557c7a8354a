"""Graphs as people write them: their order, their cycles, and what makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.domain.dependency import EdgePolicy
from scheduler.domain.errors import InvalidGraph
from scheduler.domain.graph import (
    MAX_JOBS,
    GraphJob,
    GraphSpec,
    detect_cycle,
    execution_order,
    graph_from,
)
from scheduler.domain.spec import SessionSpec
from scheduler.jobs.dependency_resolver import DependencyResolver

NOOP = SessionSpec(callable="jobs:noop")
WORK = {"callable": "jobs:noop"}
DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


def jobs(needs: dict[str, list[str]]) -> list[GraphJob]:
    return [
        GraphJob(name=name, spec=NOOP, needs=dict.fromkeys(above, EdgePolicy.CANCEL))
        for name, above in needs.items()
    ]


def test_jobs_are_put_in_parallel_groups() -> None:
    """J1."""
    assert [["a"], ["b", "c"], ["d"]] == execution_order(jobs(DIAMOND))
    assert [["a"], ["b", "c"], ["d"]] == DependencyResolver.get_execution_order(jobs(DIAMOND))
    assert [] == execution_order([])


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        (DIAMOND, []),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b", "a"]),
        ({"x": ["a"], "a": ["y", "b"], "b": ["c"], "c": ["a"], "y": []}, ["a", "b", "c", "a"]),
    ],
)
def test_a_cycle_is_a_path(needs: dict[str, list[str]], cycle: list[str]) -> None:
    """J1."""
    assert cycle == detect_cycle(jobs(needs)) == DependencyResolver.detect_cycle(jobs(needs))
    if cycle:
        with pytest.raises(InvalidGraph, match=f"in a circle: {' -> '.join(cycle)}\\.$"):
            execution_order(jobs(needs))


def test_a_long_cycle_is_cut_in_the_middle() -> None:
    ring = {f"n{i}": [f"n{(i + 1) % 500}"] for i in range(500)}

    with pytest.raises(InvalidGraph) as refused:
        GraphSpec(jobs=jobs(ring))

    assert "n0 -> n1 -> n2" in str(refused.value)
    assert "(489 more) -> n499 -> n0." in str(refused.value)


def test_a_chain_as_long_as_a_graph_may_be_is_no_recursion() -> None:
    chain = jobs({f"n{i}": [f"n{i - 1}"] if i else [] for i in range(MAX_JOBS)})

    assert MAX_JOBS == len(execution_order(GraphSpec(jobs=chain).jobs))


def test_a_graph_is_read_as_people_write_it() -> None:
    """J1."""
    graph = graph_from(
        {
            "name": "nightly",
            "office": "sales",
            "group": "g2",
            "idempotency_key": "k",
            "jobs": [
                {"name": "a", "command": ["true"], "role": "fetcher", "priority": 7},
                {"name": "b", **WORK, "needs": ["a"], "not_before": "2030-01-01T00:00:00+00:00"},
                {"name": "c", **WORK, "needs": {"a": "ignore", "b": "hold"}},
            ],
        }
    )

    assert ("nightly", "sales", "g2", "k") == (
        graph.name,
        graph.office,
        graph.group,
        graph.idempotency_key,
    )
    assert {"a": EdgePolicy.IGNORE, "b": EdgePolicy.HOLD} == graph.jobs[2].needs
    first, second, _ = graph.specs()
    assert {"office": "sales", "role": "sales/fetcher"} == first.scopes
    assert (7, datetime(2030, 1, 1, tzinfo=UTC)) == (first.priority, second.not_before)


A: dict[str, Any] = {"name": "a", **WORK}
BAD: list[tuple[Any, str]] = [
    ([], "a graph must be a mapping, got []"),
    ({"jobs": "x"}, "jobs must be a list of jobs, got 'x'"),
    ({"jobs": []}, "it has no jobs"),
    ({"jobs": [A], "ofice": "x"}, "a graph has no field 'ofice'; did you mean 'office'?"),
    ({"jobs": [A], "office": "a/b"}, "office 'a/b' is no name"),
    ({"jobs": [A], "office": 1}, "office must be a text, got 1"),
    ({"jobs": [A], "idempotency_key": ""}, "its idempotency key must have 1 to 256 characters"),
    ({"jobs": [A], "name": 5}, "its name must have 0 to 256 characters"),
    ({"jobs": ["a"]}, "a job must be a mapping, got 'a'"),
    ({"jobs": [WORK]}, "the name of a job must have 1 to 256 characters"),
    ({"jobs": [A, A]}, "two jobs have the name 'a'"),
    ({"jobs": [A | {"needs": ["b"]}]}, "job 'a' needs 'b', and no job has that name"),
    ({"jobs": [A | {"needs": ["a"]}]}, "its jobs need each other in a circle: a -> a"),
    ({"jobs": [A | {"needs": "b"}]}, "job 'a': needs must be a list of names, or a mapping"),
    ({"jobs": [A | {"needs": [1]}]}, "job 'a': needs must be a list of names, or a mapping"),
    (
        {"jobs": [A | {"needs": {"a": "later"}}]},
        "'later' is unknown; there are cancel, ignore, hold",
    ),
    ({"jobs": [A | {"need": []}]}, "job 'a' has no field 'need'; did you mean 'needs'?"),
    ({"jobs": [A | {"priority": 101}]}, "job 'a': priority must be between 0 and 100, got 101"),
    ({"jobs": [A | {"not_before": "soon"}]}, "job 'a': not_before must be a time such as"),
    ({"jobs": [A | {"role": "r"}]}, "job 'a' has the role 'r', and the graph names no office"),
    ({"jobs": [A | {"role": 1}]}, "job 'a': role must be a text, got 1"),
    (
        {"jobs": [A | {"scopes": {"office": "x"}}], "office": "y"},
        "job 'a' names a scope office or role",
    ),
    ({"jobs": [A | {"depends_on": ["x"]}]}, "job 'a': dependency 'x' is no session id"),
    (
        {"jobs": [A | {"depends_on": [f"{n:026}" for n in range(201)]}]},
        "job 'a' depends on 201 sessions outside of the graph, the limit is 200",
    ),
    ({"jobs": [A] * (MAX_JOBS + 1)}, "100001 jobs are too many, the limit is 100000"),
]


@pytest.mark.parametrize(("found", "says"), BAD, ids=[says for _, says in BAD])
def test_what_makes_no_sense_is_refused_in_a_sentence(found: object, says: str) -> None:
    """J1, K20."""
    with pytest.raises(InvalidGraph) as refused:
        graph_from(found)

    assert says in str(refused.value)
    assert str(refused.value).startswith("The graph was not submitted: ")


def test_a_graph_is_in_one_scaling_group() -> None:
    other = SessionSpec(callable="jobs:noop", group="g2")
    keyed = SessionSpec(callable="jobs:noop", idempotency_key="k")
    for spec, says in ((other, "a graph is in one"), (keyed, "give the graph one")):
        with pytest.raises(InvalidGraph, match=says):
            GraphSpec(jobs=[GraphJob(name="a", spec=NOOP), GraphJob(name="b", spec=spec)])
