"""Who may ask what, and what each mistake is answered with: one sentence, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from scheduler.api import errors as own
from scheduler.api.app import Access
from scheduler.api.forms import in_words
from scheduler.api.models.common import KNOWN, problems
from scheduler.api.models.jobs import _BYTES, _CORES, _DEVICE
from scheduler.api.problems import MEDIA_TYPE, STATUSES, status_of
from scheduler.auth.keys import ApiKeys
from scheduler.domain import errors
from scheduler.domain.errors import SchedulerError
from tests.unit.api.conftest import ACCESS, Api

#: Of these pydantic does not speak: sentences about amounts are our own.
AMOUNTS = {_CORES, _BYTES, _DEVICE}
JOBS = "/api/offices/acme/jobs"
CONFIG = "/api/offices/acme/scheduler/config"
NOBODY = "0" * 26
COMMAND = {"command": ["true"]}


def said(answer: Any, status: int) -> str:
    """The sentence of a problem that has this status."""
    assert status == answer.status_code, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert body["status"] == status
    assert {"type", "title", "status", "detail", "request_id"} == body.keys()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert re.fullmatch(r"[A-Z'\"].*[.?]", body["detail"]), body["detail"]
    return str(body["detail"])


def classes(kind: type[SchedulerError]) -> Iterator[type[SchedulerError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from classes(below)


def test_every_error_has_a_status_that_the_document_knows() -> None:
    """J7."""
    documented = {*KNOWN, *map(int, problems())}

    for kind in classes(SchedulerError):
        assert status_of(kind) in documented, kind
    assert HTTPStatus.UNPROCESSABLE_ENTITY is status_of(errors.InvalidSpec)
    assert HTTPStatus.NOT_FOUND is status_of(errors.OfficeNotFound)
    assert HTTPStatus.CONFLICT is status_of(errors.WrongState)
    assert HTTPStatus.SERVICE_UNAVAILABLE is status_of(errors.RedisRefuses)
    unmapped = [kind for kind in classes(SchedulerError) if status_of(kind) == 500]
    assert {errors.RecordSpoilt, errors.ScriptError} <= set(unmapped)
    assert {own.MalformedBody, own.TooManyRequests} <= STATUSES.keys()


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (None, "shows no API key"),
        ("Basic YTpi", "not one header Authorization"),
        ("Bearer", "is no API key"),
        ("Bearer sk_1_2", "is no API key"),
        (f"Bearer sk_{'0' * 12}_{'A' * 43}", "not known here"),
    ],
)
def test_who_shows_no_good_key_is_sent_away(api: Api, shown: str | None, says: str) -> None:
    headers = {"Authorization": shown} if shown else {}
    for path in (JOBS, "/api/nothing", "/metrics", "/api/events"):
        answer = api.web.get(path, headers=headers)

        assert says in said(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_stops_within_a_second(api: Api) -> None:
    keys = ApiKeys(api.store.api_keys)
    text, key = keys.create("viewer")
    headers = {"Authorization": f"Bearer {text}"}
    assert 200 == api.web.get(JOBS, headers=headers).status_code
    keys.revoke(key.id)

    clock, last = api.store.clock, 200
    revoked_at = asked_at = clock.monotonic()
    while last == 200 and asked_at - revoked_at < 1:
        asked_at = clock.monotonic()
        last = api.web.get(JOBS, headers=headers).status_code
    assert 401 == last


@pytest.mark.parametrize(
    ("by", "method", "path", "body"),
    [
        ("viewer", "POST", JOBS, COMMAND),
        ("submitter", "PATCH", CONFIG, {"max_retries": 1}),
        ("operator", "PATCH", CONFIG, {"max_retries": 1}),
        ("operator", "POST", "/api/offices", {"name": "initech"}),
        ("admin acme", "POST", "/api/offices", {"name": "initech"}),
        ("admin acme", "DELETE", "/api/offices/globex", None),
        ("admin acme", "GET", "/api/offices/globex/jobs", None),
        ("admin acme", "GET", "/api/offices/nowhere/jobs", None),
        ("admin acme", "GET", "/api/events?office=globex", None),
        ("admin acme", "GET", "/metrics", None),
    ],
)
def test_who_may_not_is_told_and_nothing_is_written(
    api: Api, by: str, method: str, path: str, body: Any
) -> None:
    api.key(*by.split())
    before = api.written()

    assert "Not allowed" in said(api.ask(method, path, by=by, json=body), 403)
    assert before == api.written()


def test_a_key_of_an_office_sees_that_office_only(api: Api) -> None:
    def offices(by: str) -> Any:
        return api.ask("GET", "/api/offices", by=by).json()["items"]

    assert (["acme"], ["acme", "globex"]) == (offices("viewer acme"), offices("viewer"))
    assert 200 == api.ask("GET", JOBS, by="viewer acme").status_code


BAD: list[tuple[str, str, Any, int, str]] = [
    ("POST", JOBS, {"command": ["true"], "priority": 101}, 422, "priority: input should be less"),
    ("POST", JOBS, {"command": ["true"], "priority": -1}, 422, "priority: input should be greater"),
    (
        "POST",
        JOBS,
        {"command": ["true"], "priority": "5"},
        422,
        "priority: input should be a valid",
    ),
    ("POST", JOBS, {"command": ["true"], "colour": "red"}, 422, "colour: there is no such field"),
    ("POST", JOBS, {"command": ["true"], "priorty": 5}, 422, "field; did you mean 'priority'?"),
    ("POST", JOBS, {"jobs": [{"name": "a", **COMMAND, "need": []}]}, 422, "did you mean 'needs'?"),
    ("PATCH", CONFIG, {"backoff": {"jiter": 0}}, 422, "did you mean 'jitter'?"),
    ("POST", JOBS, {"command": ["a\0"]}, 422, "command.0: it has a NUL character"),
    ("POST", JOBS, {"command": ["true"], "role": "king"}, 422, "has no role 'king'"),
    ("POST", JOBS, {"command": []}, 422, "command: list should have at least 1 item"),
    ("POST", JOBS, {"command": "true"}, 422, "command: input should be a valid list"),
    (
        "POST",
        JOBS,
        {"command": ["true"], "callable": "a:b"},
        422,
        "command: there is no such field in a callable.",
    ),
    (
        "POST",
        JOBS,
        {"command": ["true"], "jobs": [{"name": "a", "command": ["true"]}]},
        422,
        "command: there is no such field in a graph.",
    ),
    (
        "POST",
        JOBS,
        {"jobs": [{"name": "a", "command": ["true"], "callable": "a:b"}]},
        422,
        "jobs.0.command: there is no such field in a callable.",
    ),
    ("POST", JOBS, {"command": ["true"], "slots": {"cpu": "x"}}, 422, "cpu is a text such as 500m"),
    ("POST", JOBS, {"command": ["true"], "slots": {"gold": "1"}}, 422, "slots.gold"),
    ("POST", JOBS, {"command": ["true"], "timeout": "soon"}, 422, "timeout: it must be a whole"),
    ("POST", JOBS, {"command": ["true"], "done_pattern": "("}, 422, "done_pattern: it must be"),
    ("POST", JOBS, {"command": ["true"], "timeout": None}, 422, "timeout: input should be a valid"),
    ("POST", JOBS, {"command": ["true"], "not_before": "2026-01-01"}, 422, "not_before"),
    ("POST", JOBS, {"command": ["true"], "not_before": 0}, 422, "not_before: it must be a time"),
    ("POST", JOBS, {"command": ["true"], "depends_on": [NOBODY]}, 404, "depends on 0000"),
    ("POST", JOBS, {"command": ["true"], "group": "nowhere"}, 404, "'nowhere' does not exist"),
    ("POST", JOBS, [], 422, "the body: it must be an object"),
    ("POST", JOBS, None, 422, "the body: it is missing"),
    ("POST", "/api/offices/nowhere/jobs", COMMAND, 404, "Office 'nowhere' does not exist"),
    ("POST", "/api/offices/a%2Fb/jobs", COMMAND, 422, "it has a slash in it"),
    ("POST", "/api/offices/a.b/jobs", COMMAND, 422, "office_id: it is no name: let"),
    ("POST", "/api/offices", {"name": "a/b"}, 422, "name: it is no name"),
    ("POST", "/api/offices", {"name": "acme"}, 409, "exists already"),
    ("POST", "/api/offices", {}, 422, "name: it is missing"),
    ("GET", f"{JOBS}?limit=-1", None, 422, "query limit: input should be greater"),
    ("GET", f"{JOBS}?limit=501", None, 422, "query limit: input should be less"),
    ("GET", f"{JOBS}?state=BUSY", None, 422, "query state: input should be 'PENDING'"),
    ("GET", f"{JOBS}?state=READY&state=FAILED", None, 422, "query state: it is there twice"),
    ("GET", JOBS, {"state": "READY"}, 422, "query: agent, cursor, limit, name, role, state"),
    ("POST", f"{JOBS}/cancel-all", {"state": "PENDING"}, 422, "its query: role, state."),
    (
        "POST",
        "/api/offices/acme/scheduler/process",
        {"wait": True},
        422,
        "stands in its query: none.",
    ),
    ("GET", f"{JOBS}?stat=READY", None, 422, "query 'stat': there is no such; there are agent, c"),
    ("GET", f"{JOBS}?=", None, 422, "query '': there is no such; there are agent, cursor, limit"),
    ("GET", f"{JOBS}?=READY&limit=1", None, 422, "query '': there is no such; there are agent, c"),
    ("GET", f"{JOBS}?%20=&&=", None, 422, ": there is no such; there are agent, cursor, limit, n"),
    ("GET", "/api/offices?=", None, 422, "query '': there is no such; there are none"),
    ("GET", "/api/events?=", None, 422, "query '': there is no such; there are events, office"),
    (
        "GET",
        f"{JOBS}?cursor=x",
        None,
        422,
        "query cursor: it is not one that a page of jobs ended with",
    ),
    ("GET", f"{JOBS}/{NOBODY}", None, 404, "not known here"),
    ("GET", f"{JOBS}/1", None, 422, "job_id: it is no id of a job"),
    ("GET", f"{JOBS}/{NOBODY}/logs", None, 404, "not known here"),
    ("PATCH", CONFIG, {"max_concurrent_jobs": "3"}, 422, "max_concurrent_jobs: input should be a"),
    ("PATCH", CONFIG, {"max_concurrent_jobs": -1}, 422, "max_concurrent_jobs: input should be gr"),
    ("PATCH", CONFIG, {"max_concurrent_jobs": True}, 422, "max_concurrent_jobs: input should be"),
    ("PATCH", CONFIG, {"max_jobs": 3}, 422, "max_jobs: there is no such field"),
    ("PATCH", CONFIG, {"backoff": {"maximum_ms": 1}}, 422, "at least initial_ms"),
    ("PATCH", CONFIG, {"roles": "dev"}, 422, "roles: input should be a valid list"),
    ("PATCH", "/api/offices/nowhere/scheduler/config", {}, 404, "'nowhere' does not exist"),
    ("GET", "/api/events?events=session.begun", None, 422, "names no event"),
    ("GET", "/api/events?since=yesterday", None, 422, "query since: it is no id of an event"),
    ("GET", "/api/events?since=9999999999999-1", None, 410, "not on record any more"),
    ("PUT", JOBS, COMMAND, 405, "PUT is not among what can be done"),
    ("GET", "/api/jobs", None, 404, "There is no such page"),
]


def patterns(found: Any) -> Iterator[str]:
    """All regular expressions of a document."""
    if isinstance(found, list):
        for each in found:
            yield from patterns(each)
    elif isinstance(found, dict):
        for name, each in found.items():
            if name == "pattern" and isinstance(each, str):
                yield each
            elif name == "patternProperties":
                yield from each
            yield from patterns(each)


def test_every_form_of_the_document_has_words(api: Api) -> None:
    own = {*patterns(api.app.openapi())} - AMOUNTS

    assert len(own) > 10
    assert all(in_words(pattern) for pattern in own)


@pytest.mark.parametrize(("method", "path", "body", "status", "says"), BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(  # noqa: PLR0913 - a row of the table
    api: Api, method: str, path: str, body: Any, status: int, says: str
) -> None:
    api.key("admin")
    before = api.written()

    assert says in said(api.ask(method, path, json=body), status)
    assert before == api.written()


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b'{"command": ["true"', "application/json", 400, "it is no JSON at character"),
        (b'{"command": ["\xff"]}', "application/json", 400, "no JSON in UTF-8"),
        (b"[" * 100_000, "application/json", 400, "no JSON"),
        (b'{"command": ["\\ud800"]}', "application/json", 422, "command"),
        (
            b'{"command": ["true"], "priority": ' + b"9" * 5000 + b"}",
            "application/json",
            400,
            "JSON",
        ),
        (b'{"command": ["true"]}', "text/plain", 415, "The Content-Type is 'text/plain'; send"),
        (b'{"command": ["true"]}', "", 415, "The Content-Type is missing; send the body as JSON"),
        (
            b'{"command": ["true"], "command": ["false"]}',
            "application/json",
            400,
            "an object in it has 'command' twice",
        ),
        (
            b'{"callable": "a:b", "kwargs": {"n": {"x": 1, "x": 1}}}',
            "application/problem+json; charset=utf-8",
            400,
            "'x' twice",
        ),
    ],
)
def test_a_body_that_is_no_json_is_told(
    api: Api, body: bytes, kind: str, status: int, says: str
) -> None:
    answer = api.ask("POST", JOBS, content=body, headers={"Content-Type": kind})

    assert says in said(answer, status)


def test_a_header_is_there_once(api: Api) -> None:
    """Of two keys one would be passed over, and a repeat with it make another job."""
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    web = [*keys, ("Authorization", f"Bearer {api.key('submitter')}")]

    assert "header idempotency-key: it is there twice" in said(
        api.web.post(JOBS, json=COMMAND, headers=web), 422
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", JOBS, "GET, POST"),
        ("GET", f"{JOBS}/cancel-all", "POST"),
        ("DELETE", "/health", "GET, HEAD"),
    ],
)
def test_a_method_that_a_page_has_not_is_answered_with_those_it_has(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = api.ask(method, path)

    assert "is not among what can be done" in said(answer, 405)
    assert allowed == answer.headers["allow"]


def test_health_is_asked_without_its_body_as_of_our_other_processes(api: Api) -> None:
    for page in ("/health", "/health/live", "/health/ready"):
        answer = api.web.head(page)
        assert (200, b"") == (answer.status_code, answer.content)


def test_a_body_of_10_mib_is_refused_by_what_it_says_of_itself_and_in_pieces(api: Api) -> None:
    large = 10 * 1024 * 1024
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(large // 65_536):
            taken += 65_536
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    whole = api.ask("POST", JOBS, content=b" " * large, headers=headers)
    chunked = api.ask("POST", JOBS, content=pieces(), headers=headers)

    assert "more than 4194304 bytes" in said(whole, 413)
    assert "4194304" in said(chunked, 413)


@pytest.mark.parametrize("access", [replace(ACCESS, rate="3/hour")])
def test_a_key_that_asks_too_often_is_told_when_to_come_back(api: Api, access: Access) -> None:
    assert access.rate == "3/hour"
    for _ in range(3):
        assert 200 == api.ask("GET", JOBS, by="viewer").status_code

    answer = api.ask("GET", JOBS, by="viewer")

    assert "has used up its 3 per 1 hour" in said(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 3_600
    assert 200 == api.ask("GET", JOBS, by="operator").status_code


@pytest.mark.parametrize("access", [replace(ACCESS, insecure=True)])
def test_without_keys_only_this_machine_s_pages_are_answered(api: Api, access: Access) -> None:
    assert access.insecure
    here = {"Host": "127.0.0.1:8080"}

    def ask(**headers: str) -> Any:
        return api.web.get(JOBS, headers={**here, **headers})

    assert 200 == ask().status_code
    assert 200 == ask(Origin="http://127.0.0.1:8080").status_code
    assert "of http://evil.example" in said(ask(Origin="http://evil.example"), 403)
    assert "of evil.example" in said(ask(Host="evil.example:8080"), 403)
