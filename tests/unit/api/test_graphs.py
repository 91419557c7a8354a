"""Graphs over HTTP: all or none, and the mistakes that section 10 of the plan names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Api
from tests.unit.api.test_statuses import JOBS, said


def node(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": ["true"], "needs": list(needs), **more}


def test_a_graph_is_submitted_once_per_idempotency_key(api: Api) -> None:
    """J1, J7."""
    graph = {
        "name": "release",
        "jobs": [
            node("build", role="dev"),
            node("test", "build", priority=90),
            {"name": "tell", "callable": "mail:send", "needs": {"test": "ignore"}},
        ],
    }
    headers = {"Idempotency-Key": "release-1"}
    first = api.ask("POST", JOBS, json=graph, headers=headers)
    again = api.ask("POST", JOBS, json=graph, headers=headers)

    assert (201, first.json()) == (first.status_code, again.json())
    assert (None, 3) == (first.json()["id"], first.json()["jobs"])
    graphs = api.store.graphs
    found = graphs.with_sessions(graphs.read(first.json()["graph"]))
    jobs = {name: api.store.sessions.get(job) for name, job in found.sessions.items()}
    assert ("acme", ["build", "tell", "test"]) == (found.office, sorted(jobs))
    assert ("dev", 90) == (jobs["build"].role, jobs["test"].priority)


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ([node("a", "b"), node("b", "a")], "in a circle: a -> b -> a"),
        ([node("a", "nobody")], "job 'a' needs 'nobody', and no job has that name"),
        ([node("a"), node("a")], "two jobs have the name 'a'"),
        ([node("a", priority=101)], "jobs.0.priority: input should be less"),
        ([node("a", role="king")], "has no role 'king'"),
        ([node("a", colour="red")], "jobs.0.colour: there is no such field"),
        ([node("a", needs={"b": "maybe"})], "jobs.0.needs"),
        ([node(f"j{n}") for n in range(100_001)], "100001 jobs are too many, the limit is 100000"),
        ([], "jobs: list should have at least 1 item"),
    ],
    ids=["cycle", "parent", "name", "priority", "role", "field", "policy", "large", "empty"],
)
def test_a_bad_graph_is_one_sentence_and_nothing_is_written(
    api: Api, jobs: list[dict[str, Any]], says: str
) -> None:
    if len(jobs) > 1_000:
        jobs = [{"name": f"{n:x}", "command": ["a"]} for n in range(len(jobs))]
    api.key("admin")
    before = api.written()

    assert says in said(api.ask("POST", JOBS, json={"jobs": jobs}), 422)
    assert before == api.written()


def test_a_graph_is_shown_as_it_stands_and_cancelled_whole(api: Api) -> None:
    """J1, J7: by its office only."""
    body = {"name": "release", "jobs": [node("build"), node("test", "build", role="dev")]}
    made = api.ask("POST", JOBS, json=body)
    where = made.headers["location"]

    found = api.ask("GET", where, by="viewer acme").json()
    assert ("release", "acme", 2, {"PENDING": 2}) == tuple(
        found[name] for name in ("name", "office", "jobs", "counts")
    )
    assert [("build", {}), ("test", {"build": "cancel"})] == [
        (member["name"], member["needs"]) for member in found["members"]
    ]
    assert ["build"] == [m["name"] for m in api.ask("GET", f"{where}?limit=1").json()["members"]]
    assert {"cancelled": 2} == api.ask("POST", f"{where}/cancel", by="submitter acme").json()
    assert {"CANCELLED": 2} == api.ask("GET", where).json()["counts"]


def test_a_graph_of_another_office_is_not_known(api: Api) -> None:
    made = api.ask("POST", JOBS, json={"jobs": [node("a")]}).json()["graph"]
    foreign = f"/api/offices/globex/graphs/{made}"

    assert "is not known here" in said(api.ask("GET", foreign), 404)
    assert "is not known here" in said(api.ask("POST", f"{foreign}/cancel"), 404)
    assert "is no id of a graph" in said(api.ask("GET", "/api/offices/acme/graphs/g1"), 422)
    assert {"PENDING": 1} == api.ask("GET", f"/api/offices/acme/graphs/{made}").json()["counts"]
