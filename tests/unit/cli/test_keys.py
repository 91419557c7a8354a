"""API keys on the command line."""

from __future__ import annotations

from scheduler.auth.keys import ApiKeys
from tests.unit.cli.conftest import Run
from tests.unit.store.lives import World


def test_a_key_is_printed_once_listed_and_revoked(world: World, run: Run) -> None:
    """J7."""
    run("office", "create", "acme")
    made = run("key", "create", "--role", "operator", "--office", "acme", "--name", "night shift")

    key = ApiKeys(world.api_keys).recognise(made.out.strip())
    assert made.out.strip() not in made.err
    (listed,) = run("key", "list", "-o", "json").json
    assert key.as_dict() == listed
    shown = run("key", "list")
    assert ["KEY", "ROLE", "OFFICE", "NAME"] == shown.rows[0][:4]
    assert made.out.strip().split("_", 2)[2] not in shown.out
    assert f"key {key.id} revoked\n" == run("key", "revoke", key.id).out
    assert f"key {key.id} was revoked before\n" == run("key", "revoke", key.id).out
    assert "revoked" in run("key", "list").out


def test_a_key_says_when_it_expires(world: World, run: Run) -> None:
    run("key", "create", "--role", "viewer", "--expires", "90d")
    run("key", "create", "--role", "viewer")
    lasting, for_ever = run("key", "list", "-o", "json").json
    assert lasting["expires_at"] == lasting["created_at"] + 90 * 86_400_000
    assert for_ever["expires_at"] is None

    world.client.hset(world.keys.api_key(lasting["id"]), "expires_at", 1)
    states = {row[0]: row[-1] for row in run("key", "list").rows[1:]}
    assert states == {lasting["id"]: "expired", for_ever["id"]: "valid"}


def test_bad_input_is_one_sentence(run: Run) -> None:
    assert (2, True) == (
        (refused := run("key", "create", "--role", "god")).code,
        "there are viewer, submitter, operator, admin" in refused.err,
    )
    assert 2 == run("key", "create", "--role", "viewer", "--office", "a/b").code
    assert 3 == run("key", "create", "--role", "viewer", "--office", "nowhere").code
    assert 3 == run("key", "revoke", "nothing").code
    assert "There are no keys" in run("key", "list").err
