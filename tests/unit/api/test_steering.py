"""Jobs over HTTP: submitted, listed, steered, and changed only where they are as they were looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from scheduler.domain.errors import SessionRevisionConflict
from scheduler.domain.states import SessionState as S
from scheduler.store.script import Packed, Script
from tests.unit.api.conftest import Api
from tests.unit.api.test_statuses import CONFIG, JOBS, said
from tests.unit.store.lives import NOBODY


def ended(api: Api, job: str) -> str:
    """Bring a job to its end, by cancelling it."""
    assert "cancelled" == api.ask("POST", f"{JOBS}/{job}/cancel").json()["outcome"]
    return job


def test_a_job_is_submitted_once_per_idempotency_key(api: Api) -> None:
    """J7, J1."""
    body = {"command": ["true"], "role": "dev", "priority": 50, "name": "nightly"}
    headers = {"Idempotency-Key": "order-4711"}
    first = api.ask("POST", JOBS, json=body, headers=headers)
    again = api.ask("POST", JOBS, json=body, headers=headers)
    other = api.ask("POST", JOBS, json={**body, "priority": 51}, headers=headers)
    theirs = api.ask(
        "POST", "/api/offices/globex/jobs", json={"command": ["true"]}, headers=headers
    )

    assert (201, 201, first.json()) == (first.status_code, again.status_code, again.json())
    assert "belongs to session" in said(other, 409)
    assert theirs.status_code == 201
    shown = api.ask("GET", first.headers["location"]).json()
    assert ("acme", "dev", 50, "nightly", "READY") == tuple(
        shown[name] for name in ("office", "role", "priority", "name", "state")
    )


def test_every_field_of_a_job_reaches_its_session(api: Api) -> None:
    api.world.groups.configure("gpu", {"grows": True})
    job = api.submit(
        callable="package.module:function",
        args=[1, {"a": None}],
        kwargs={"b": "ä"},
        env={"LANG": "C"},
        slots={"cpu": "500m", "mem": "1.5GiB", "cuda.device": 2},
        cluster_size=2,
        cluster_mode="multi-node",
        labels={"zone": "a|b"},
        group="gpu",
        timeout="90s",
        done_pattern="saved .*|done",
        silence_timeout="5m",
        retries=7,
        on_lost="fail",
        not_before="2100-01-01T09:00:00+09:00",
    )
    data = api.store.sessions.get(job)

    assert [1, {"a": None}] == api.store.sessions.payload(job)["args"]
    assert ("gpu", 90_000, 7) == (data.group, data.request.timeout_ms, data.request.retries)
    assert ("saved .*|done", 300_000) == (data.request.done_pattern, data.request.silence_ms)
    assert {"cpu": 500, "mem": 1536, "cuda.device": 2} == dict(data.request.kernels[0])
    assert datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000 == data.not_before
    assert S.PENDING is data.state


def test_jobs_are_listed_page_by_page_by_state_and_role(api: Api) -> None:
    jobs = [api.submit(role="dev" if n % 2 else "qa") for n in range(5)]
    ended(api, jobs[0])
    api.submit("globex")

    pages: list[list[str]] = []
    cursor = None
    while cursor or not pages:
        where = f"{JOBS}?limit=2" + (f"&cursor={cursor}" if cursor else "")
        page = api.ask("GET", where, by="viewer acme").json()
        pages.append([job["id"] for job in page["items"]])
        cursor = page["cursor"]
    assert list(reversed(jobs)) == [job for page in pages for job in page]
    dev = api.ask("GET", f"{JOBS}?role=dev&state=READY").json()["items"]
    assert [jobs[3], jobs[1]] == [job["id"] for job in dev]


def test_jobs_are_listed_by_name_and_by_agent(api: Api) -> None:
    wanted = api.submit(name="train-1")
    api.submit(name="eval")

    def listed(query: str) -> list[str]:
        return [job["id"] for job in api.ask("GET", f"{JOBS}?{query}").json()["items"]]

    assert [wanted] == listed("name=train-*") == listed("name=train-1")
    assert [] == listed("name=train") == listed("name=train-*&agent=a1")
    assert [] == listed("agent=a1&state=READY"), "on an agent is nothing that waits"
    for query in ("name=", "name=%00", "agent=no%20such"):
        said(api.ask("GET", f"{JOBS}?{query}"), 422)


def test_jobs_are_listed_by_when_they_were_submitted(api: Api) -> None:
    jobs = [api.submit() for _ in range(3)]
    for job, at in zip(jobs, (100, 200, 300), strict=True):
        api.store.client.hset(api.store.keys.session(job), "submitted_at", at)

    def listed(query: str) -> list[str]:
        return [job["id"] for job in api.ask("GET", f"{JOBS}?{query}").json()["items"]]

    assert [jobs[2], jobs[1]] == listed("submitted_after=200")
    assert [jobs[0]] == listed("submitted_before=200")
    assert [jobs[1]] == listed("submitted_after=200&submitted_before=300")
    for query in (
        "submitted_after=2&submitted_before=1",
        "submitted_after=soon",
        "submitted_before=-1",
        "cursor=YmVmb3Jl",
    ):
        said(api.ask("GET", f"{JOBS}?{query}"), 422)


def test_a_job_is_changed_only_where_it_is_as_it_was_looked_at(api: Api) -> None:
    job = api.submit()
    seen = api.ask("GET", f"{JOBS}/{job}").headers["etag"]
    where = f"{JOBS}/{job}/priority"
    stale = {"If-Match": '"stale", W/' + seen}

    assert "If-Match asked for" in said(
        api.ask("PATCH", where, json={"priority": 1}, headers=stale), 412
    )
    changed = api.ask("PATCH", where, json={"priority": 90}, headers={"If-Match": f'"x", {seen}'})
    assert (200, 90) == (changed.status_code, changed.json()["priority"])
    assert changed.headers["etag"] != seen
    for verb in ("cancel", "retry", "handoff"):
        body = {"role": "qa"} if verb == "handoff" else None
        again = api.ask("POST", f"{JOBS}/{job}/{verb}", json=body, headers={"If-Match": seen})
        assert again.status_code == 412
    fresh = {"If-None-Match": changed.headers["etag"]}
    assert 304 == api.ask("GET", f"{JOBS}/{job}", headers=fresh).status_code
    assert (
        200 == api.ask("PATCH", where, json={"priority": 1}, headers={"If-Match": "*"}).status_code
    )


def test_a_job_is_cancelled_retried_and_handed_over(api: Api) -> None:
    """J7, J11."""
    job = api.submit(role="dev")
    handed = api.ask("POST", f"{JOBS}/{job}/handoff", json={"role": "qa"})
    assert (200, "qa") == (handed.status_code, handed.json()["role"])
    assert "has no role 'king'" in said(
        api.ask("POST", f"{JOBS}/{job}/handoff", json={"role": "king"}), 422
    )
    assert "retry works only in" in said(api.ask("POST", f"{JOBS}/{job}/retry"), 409)
    cancelled = api.ask(
        "POST", f"{JOBS}/{job}/cancel", json={"reason": "a mistake"}, by="submitter"
    )
    assert {"outcome": "cancelled"} == cancelled.json()
    assert "a mistake" == api.ask("GET", f"{JOBS}/{job}").json()["reason"]
    assert {"outcome": "ended"} == api.ask("POST", f"{JOBS}/{job}/cancel").json()
    again = api.ask("POST", f"{JOBS}/{job}/retry", json={"with_dependents": True})
    assert {"jobs": [job]} == again.json()
    for verb in ("cancel", "retry"):
        theirs = f"/api/offices/globex/jobs/{job}/{verb}"
        assert "not known here" in said(api.ask("POST", theirs), 404)
        assert "not known here" in said(api.ask("POST", f"{JOBS}/{NOBODY}/{verb}"), 404)


def test_all_jobs_are_cancelled_of_one_role_or_of_all(api: Api) -> None:
    for role in ("dev", "dev", "qa"):
        api.submit(role=role)
    theirs = api.submit("globex")

    assert {"cancelled": 2} == api.ask("POST", f"{JOBS}/cancel-all?role=dev", by="operator").json()
    assert {"cancelled": 1} == api.ask("POST", f"{JOBS}/cancel-all", by="operator").json()
    assert S.READY is api.store.sessions.get(theirs).state
    said(api.ask("POST", f"{JOBS}/cancel-all", by="submitter"), 403)


def test_an_office_is_made_changed_and_deleted(api: Api) -> None:
    made = api.ask("POST", "/api/offices", json={"name": "initech", "max_concurrent_jobs": 5})
    config = "/api/offices/initech/scheduler/config"
    one, two = made.headers["etag"], '"2"'

    def change(value: Any, if_match: str) -> Any:
        return api.ask("PATCH", config, json={"max_retries": value}, headers={"If-Match": if_match})

    assert ('"1"', 5) == (one, made.json()["config"]["max_concurrent_jobs"])
    assert (200, 9, two) == (
        (changed := change(9, one)).status_code,
        changed.json()["max_retries"],
        changed.headers["etag"],
    )
    said(change(1, one), 412)
    assert 304 == api.ask("GET", config, headers={"If-None-Match": two}).status_code
    assert 9 == api.ask("GET", config, by="viewer").json()["max_retries"]
    assert 204 == api.ask("DELETE", "/api/offices/initech").status_code
    said(api.ask("GET", config), 404)
    api.submit()
    assert "acme" in said(api.ask("DELETE", "/api/offices/acme"), 409)
    assert CONFIG.startswith("/api/offices/acme")


def test_the_tries_of_a_job_are_listed(api: Api) -> None:
    job = api.submit()

    assert {"items": []} == api.ask("GET", f"{JOBS}/{job}/executions").json()
    assert "never ran" in said(api.ask("GET", f"{JOBS}/{job}/logs"), 404)


def test_an_office_tells_how_it_stands_and_is_processed_by_hand(api: Api) -> None:
    """J7, J6."""
    api.submit(role="dev")
    stats = api.ask("GET", "/api/offices/acme/scheduler/stats", by="viewer acme").json()

    assert (3, 3, 1, 1) == tuple(
        stats[name] for name in ("limit", "available_slots", "ready", "waiting")
    )
    assert {"running": 0, "waiting": 1, "limit": None} == stats["roles"]["dev"]
    processed = api.ask("POST", "/api/offices/acme/scheduler/process", by="operator").json()
    assert (1, []) == (processed["ready"], processed["no_leader"])


@pytest.mark.parametrize("verb", ["cancel", "retry", "priority", "handoff"])
def test_of_two_who_change_what_both_have_seen_one_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """J7: the other's change falls between the look at the job and the script that changes it."""
    job = api.submit(role="dev")
    if verb == "retry":
        ended(api, job)
    seen = {"If-Match": api.ask("GET", f"{JOBS}/{job}").headers["etag"]}
    method, body, theirs = {
        "priority": ("PATCH", {"priority": 7}, {"priority": 8}),
        "handoff": ("POST", {"role": "qa"}, {"role": "qa"}),
    }.get(verb, ("POST", None, None))
    where, run, others = f"{JOBS}/{job}/{verb}", Script.run, list[Any]()

    def run_second(script: Script, client: redis.Redis, packed: Packed) -> list[Any]:
        if script.name == f"session/{verb}" and not others:
            others.append(None)
            others[0] = api.ask(method, where, json=theirs, headers=seen)
        return run(script, client, packed)

    monkeypatch.setattr(Script, "run", run_second)
    ours = api.ask(method, where, json=body, headers=seen)

    assert others[0].status_code == 200
    assert "it changed meanwhile; nothing was written" in said(ours, 412)
    if verb == "priority":
        assert 8 == api.store.sessions.get(job).priority


def test_what_nobody_is_shown_keeps_nobody_from_a_change(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = api.submit()
    seen = {"If-Match": api.ask("GET", f"{JOBS}/{job}").headers["etag"]}
    run, moved = Script.run, list[str]()

    def run_later(script: Script, client: redis.Redis, packed: Packed) -> list[Any]:
        if script.name == "session/priority" and not moved:
            moved.append("verdict")
            client.hset(api.store.keys.session(job), "retry_token", "another")
        return run(script, client, packed)

    monkeypatch.setattr(Script, "run", run_later)
    assert (
        7
        == api.ask("PATCH", f"{JOBS}/{job}/priority", json={"priority": 7}, headers=seen).json()[
            "priority"
        ]
    )


def test_a_change_is_found_by_its_repeat(api: Api) -> None:
    """K14: an answer was lost, and the script is sent once more."""
    job = api.submit()
    _, seen = api.store.sessions.look(job)

    api.store.sessions.set_priority(job, 7, seen=seen)
    api.store.sessions.set_priority(job, 7, seen=seen)

    with pytest.raises(SessionRevisionConflict):
        api.store.sessions.set_priority(job, 8, seen=seen.split()[0] + " another")
