"""What one tenant of the API can learn or take from another: nothing."""

from __future__ import annotations

from tests.unit.api.conftest import Api
from tests.unit.api.test_statuses import JOBS, said


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
