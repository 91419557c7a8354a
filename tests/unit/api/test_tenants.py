"""What one tenant of the API can learn or take from another: nothing."""

from __future__ import annotations

import pytest

from scheduler.store import precheck, sessions, submission
from tests.unit.api.conftest import Api
from tests.unit.api.test_statuses import COMMAND, JOBS, NOBODY, said


def test_an_office_is_deleted_with_its_ended_jobs_and_its_keys(api: Api) -> None:
    """Who makes an office of the same name begins anew."""
    headers = {"Idempotency-Key": "order-1"}
    body = {"callable": "os:getcwd"}
    old = api.ask("POST", JOBS, by="submitter acme", json=body, headers=headers).json()["id"]
    assert "1 of its jobs wait" in said(api.ask("DELETE", "/api/offices/acme?forget=true"), 409)
    api.ask("POST", f"{JOBS}/{old}/cancel")
    assert "?forget=true" in said(api.ask("DELETE", "/api/offices/acme"), 409)
    assert api.ask("DELETE", "/api/offices/acme?forget=true").status_code == 204
    api.ask("POST", "/api/offices", json={"name": "acme"})

    assert api.ask("GET", JOBS).json()["items"] == []
    assert api.ask("GET", f"{JOBS}/{old}").status_code == 404
    made = api.ask("POST", JOBS, json={"callable": "os:getpid"}, headers=headers)
    assert (made.status_code, made.json()["id"] == old) == (201, False)
    text = api.keys["submitter", "acme"]
    assert api.app.state.store.api_keys.read(text.split("_")[1]).key.revoked_at is not None


@pytest.mark.parametrize("by", ["submitter acme", "admin"])
def test_a_job_of_another_office_is_no_parent_and_is_not_known_either(api: Api, by: str) -> None:
    """An id that is there is told like one that is not, and nobody learns how it ended."""
    foreign, nobodys = api.submit("globex"), api.world.submit()
    api.key(*by.split())
    before = api.written()

    told = {
        said(api.ask("POST", JOBS, by=by, json={**COMMAND, "depends_on": [parent]}), 404).replace(
            parent, "ID"
        )
        for parent in (foreign, nobodys, NOBODY)
    }
    assert told == {"The session was not submitted: it depends on ID, which is not known here."}
    assert before == api.written()
    own = api.submit(role="dev")
    child = api.ask("POST", JOBS, by=by, json={**COMMAND, "depends_on": [own]})
    assert child.status_code == 201


def test_of_many_parents_the_first_that_is_not_its_own_is_named(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is foreign, too: else the next one's name would tell that it is there."""
    own = [api.submit() for _ in range(3)]
    foreign = api.submit("globex")
    assert 201 == api.ask("POST", JOBS, json={**COMMAND, "depends_on": own}).status_code
    for module in (sessions, submission, precheck):
        monkeypatch.setattr(module, "PARENT_BATCH", 2)
    before = api.written()

    for first in (foreign, NOBODY):
        answer = api.ask("POST", JOBS, json={**COMMAND, "depends_on": [*own, first, "1" * 26]})
        assert f"depends on {first}," in said(answer, 404)
    assert before == api.written()
    assert 201 == api.ask("POST", JOBS, json={**COMMAND, "depends_on": own}).status_code


def test_jobs_of_a_graph_name_no_parents_outside(api: Api) -> None:
    foreign = api.submit("globex")
    node = {"name": "a", **COMMAND}

    asked = {"jobs": [{**node, "depends_on": [foreign]}]}
    assert "there is no such field" in said(api.ask("POST", JOBS, json=asked), 422)
    answer = api.ask("POST", JOBS, json={"jobs": [{**node, "needs": [foreign]}]})
    assert "no job has that name" in said(answer, 422)
